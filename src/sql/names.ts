import {BkpError} from '../errors/index.ts';
import {printable} from '../lib/text.ts';
import type {BackupRef, Name} from './statement.ts';

const root = '/Root/';
const folder = '.backups/collections/';
/** A collection's name becomes the name of a folder in a store. */
const nameLimitCharacters = 200;
/** File systems take 255 bytes; in a store's key a byte that is no ASCII letter, digit or `._-` takes three. */
const encodedLimitBytes = 250;

/**
 * The plain name of a collection: `/Root/.backups/collections/shop`, `.backups/collections/shop` and `shop` are one.
 * @throws BkpError `BAD_REQUEST` for the empty name, `BAD_NAME` for one that is elsewhere or cannot be a folder's name
 */
export function collectionName(name: Name): string {
  return checkedCollection(name.text, withoutFolder(name.text));
}

/**
 * The plain name of a table: `/Root/orders` and `orders` are one, and a path below `/Root` is part of the name.
 * A qualified name (`main.orders`) stays as it is: only its database knows what qualifies.
 * @throws BkpError `BAD_NAME` for the empty name
 */
export function tableName(name: Name): string {
  const table = name.text.startsWith(root) ? name.text.slice(root.length) : name.text;
  if (table === '') throw new BkpError('BAD_NAME', `Table name cannot be empty${writtenAs(name.text, table)}`);
  return table;
}

/**
 * Which backup of which collection a statement means. The point stands after AT or in the name (`shop/<point>`); it is
 * a directory name (`20250215120000Z_full`) or its time part, and absent when the statement names none.
 * Whether there is such a backup is not looked at.
 * @throws BkpError as {@link collectionName}; `BAD_REQUEST` when both places name a point
 */
export function backupRef(ref: BackupRef): {collection: string; point?: string} {
  const path = withoutFolder(ref.collection.text);
  const slash = path.indexOf('/');
  if (slash <= 0 || path.indexOf('/', slash + 1) !== -1) {
    const collection = checkedCollection(ref.collection.text, path);
    return ref.point === undefined ? {collection} : {collection, point: withZone(ref.point)};
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
  return {collection, point: withZone(path.slice(slash + 1))};
}

/** A name as it is typed in a statement, in backticks where it needs them. */
export function quoteName(name: string, {always = false} = {}): string {
  const bare = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !/^(database|abort)$/i.test(name);
  return bare && !always ? name : `\`${name.replaceAll('`', '``')}\``;
}

function withoutFolder(path: string): string {
  for (const prefix of [root + folder, folder]) if (path.startsWith(prefix)) return path.slice(prefix.length);
  return path;
}

function checkedCollection(written: string, name: string): string {
  if (name === '') throw new BkpError('BAD_REQUEST', 'Backup collection name cannot be empty');
  const quoted = quoteName(shown(name));
  if (name.includes('/')) {
    const where = name.startsWith('/') ? 'placed in' : 'placed directly in';
    throw new BkpError(
      'BAD_NAME',
      `Backup collections must be ${where} ${root}.backups/collections, not at ${quoted}`,
      {
        next: `use a name without a slash, e.g. ${quoteName(shown(name.split('/').findLast((part) => part !== '') ?? 'shop'))}`,
      },
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
  if (name === '.' || name === '..') return 'it means a folder';
  if (/\p{Cc}/u.test(name)) return 'it holds a control character';
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

/** `20250215120000` is short for `20250215120000Z`: names are in UTC. */
function withZone(point: string): string {
  return /^\d{14}$/.test(point) ? `${point}Z` : point;
}
