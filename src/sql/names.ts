import {BkpError} from '../errors/index.ts';
import {quoteName} from '../lib/statement-name.ts';
import {printable} from '../lib/text.ts';
import {relativeMicros, secondsText} from '../lib/time.ts';
import type {BackupRef, Name} from './statement.ts';

const root = '/Root/';
const folder = '.backups/collections/';
/** A collection's name becomes the name of a folder in a store. */
const nameLimitCharacters = 200;
/**
 * File systems allow 255 bytes; a byte other than an ASCII letter, digit or `._-` takes three bytes in a store's key.
 */
const encodedLimitBytes = 250;

/**
 * The plain name of a collection: `/Root/.backups/collections/shop`, `.backups/collections/shop` and `shop` mean the
 * same.
 * @throws BkpError `BAD_REQUEST` for the empty name, `BAD_NAME` for another folder or a name that cannot be a
 * folder's
 */
export function collectionName(name: Name): string {
  return checkedCollection(name.text, withoutFolder(name.text));
}

/**
 * The plain name of a table: `/Root/orders` and `orders` mean the same; a path below `/Root` is part of the name.
 * A qualified name (`main.orders`) stays as it is: only the database knows its qualifiers.
 * @throws BkpError `BAD_NAME` for the empty name
 */
export function tableName(name: Name): string {
  const table = storedTableName(name);
  if (table === '') throw new BkpError('BAD_NAME', `Table name cannot be empty${writtenAs(name.text, table)}`);
  return table;
}

/** The same for a table of a backup of the whole database, where SQLite allows the empty name. */
export function storedTableName({text}: Name): string {
  return text.startsWith(root) ? text.slice(root.length) : text;
}

/**
 * The collection and backup that a statement names. The point follows AT or is part of the name (`shop/<point>`); it
 * is a directory name (`20250215120000Z_full`) or its time part, a time, or `latest`, and absent when the statement
 * names no backup. A time relative to now (`-1 day`) becomes the time that it means. The backup need not exist.
 * @throws BkpError as {@link collectionName}; `BAD_REQUEST` when the point is given twice
 */
export function backupRef(ref: BackupRef, nowMicros: number): {collection: string; point?: string} {
  const path = withoutFolder(ref.collection.text);
  const slash = path.indexOf('/');
  if (slash <= 0 || path.indexOf('/', slash + 1) !== -1) {
    const collection = checkedCollection(ref.collection.text, path);
    return ref.point === undefined ? {collection} : {collection, point: absolute(ref.point, nowMicros)};
  }
  const collection = checkedCollection(ref.collection.text, path.slice(0, slash));
  if (ref.point !== undefined) {
    throw new BkpError(
      'BAD_REQUEST',
      `The backup is named twice: ${quoteName(shown(path))} and AT '${shown(ref.point)}'`,
      {
        next: 'keep one of the two',
      },
    );
  }
  return {collection, point: absolute(path.slice(slash + 1), nowMicros)};
}

/** A string as it is typed in a statement. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function withoutFolder(path: string): string {
  for (const prefix of [root + folder, folder]) if (path.startsWith(prefix)) return path.slice(prefix.length);
  return path;
}

function checkedCollection(written: string, name: string): string {
  if (name === '') throw new BkpError('BAD_REQUEST', 'Backup collection name cannot be empty');
  const quoted = quoteName(shown(name));
  if (name.includes('/')) {
    const lastPart = name.split('/').findLast((part) => part !== '') ?? 'shop';
    const where = name.startsWith('/') ? 'placed in' : 'placed directly in';
    throw new BkpError(
      'BAD_NAME',
      `Backup collections must be ${where} ${root}.backups/collections, not at ${quoted}`,
      {next: `use a name without a slash, e.g. ${quoteName(shown(lastPart))}`},
    );
  }
  const fault = faultOf(name);
  if (fault !== undefined) {
    throw new BkpError(
      'BAD_NAME',
      `${quoted} cannot be the name of a backup collection: ${fault}${writtenAs(written, name)}`,
      {next: 'choose another name: it becomes the name of a folder'},
    );
  }
  return name;
}

function faultOf(name: string): string | undefined {
  if (name === '.' || name === '..') return 'it has a special meaning for folders';
  if (/\p{Cc}/u.test(name)) return 'it contains a control character';
  if (!name.isWellFormed()) return 'it is not valid Unicode';
  const characters = [...name].length;
  if (characters > nameLimitCharacters)
    return `it has ${characters} characters, at most ${nameLimitCharacters} are possible`;
  const plain = name.match(/[A-Za-z0-9._-]/g)?.length ?? 0;
  const encoded = plain + 3 * (Buffer.byteLength(name) - plain);
  return encoded > encodedLimitBytes
    ? `it is too long for the name of a folder (${encoded} bytes of ${encodedLimitBytes})`
    : undefined;
}

function writtenAs(written: string, name: string): string {
  return written === name ? '' : ` (written ${quoteName(shown(written))})`;
}

function shown(name: string): string {
  return name.length > 60 ? `${printable(name.slice(0, 60))}…` : printable(name);
}

/** `20250215120000` means `20250215120000Z`: names are in UTC. */
function absolute(point: string, nowMicros: number): string {
  const micros = relativeMicros(point, nowMicros);
  if (micros !== undefined) return secondsText(micros);
  return /^\d{14}$/.test(point) ? `${point}Z` : point;
}
