import {BkpError, didYouMean} from '../../errors/index.ts';
import {quotedName} from '../../lib/sqlite-tokens.ts';
import {foldAscii} from '../../lib/text.ts';
import {isInFile} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {type Backup, readBackup, type TableBackup} from '../stored/manifest.ts';

/** A backup that tables are read from. */
export type OpenedBackup = {vault: VaultReader; collection: string; backup: Backup};

/**
 * @param point as `AT` takes it; absent: the newest backup
 * @throws BkpError `COLLECTION_NOT_FOUND` | `BACKUP_NOT_FOUND` | `OBJECT_DAMAGED` | `OBJECT_MISSING` | `STORE_REFUSED`
 */
export async function openBackup(
  vault: VaultReader,
  {collection, point}: {collection: string; point: string | undefined},
): Promise<OpenedBackup> {
  const {backups} = await requireReadable(vault, collection);
  const name = await findBackup(vault, {collection, backups, point});
  return {vault, collection, backup: await readBackup(vault, collection, name)};
}

/** `shop/20261121120000Z_full` */
export function labelOf({collection, backup}: OpenedBackup): string {
  return `${collection}/${backup.body.backup}`;
}

/**
 * The table with this name, whose case does not matter.
 * @throws BkpError `TABLE_NOT_FOUND` with the tables that there are | `UNSUPPORTED` for a view or virtual table
 */
export function requireTable(opened: OpenedBackup, name: string): TableBackup {
  const found = findTable(opened, name);
  if (found !== undefined) return found;
  const {tables, objects = []} = opened.backup.body;
  const object = objects.find((other) => isSame(other.name, name));
  if (object !== undefined) {
    throw new BkpError('UNSUPPORTED', `${object.name} is not a table of ${labelOf(opened)}`, {
      cause: 'it is a view or a virtual table, which has no rows of its own in a backup',
      next: `read the tables behind it: ${listed(tables)}`,
      context: {table: name},
    });
  }
  const meant = didYouMean(
    name,
    tables.map(({schema}) => schema.name),
  );
  throw new BkpError('TABLE_NOT_FOUND', `${labelOf(opened)} has no table ${name}`, {
    next: `${meant === undefined ? '' : `did you mean ${meant}? `}it has ${listed(tables)}`,
    context: {table: name},
  });
}

/** A name counts as it is; if there is no such table, as SQL reads it: `"my table"`. */
export function findTable({backup}: OpenedBackup, name: string): TableBackup | undefined {
  const {tables} = backup.body;
  const names = tables.map(({schema}) => schema.name);
  const find = (text: string) => {
    const meant = nameAmong(names, text);
    return tables.find(({schema}) => schema.name === meant);
  };
  const isOfFile = isInFile(backup.body.source.description);
  const exact = find(name) ?? (isOfFile ? find(quotedName(name) ?? name) : undefined);
  if (exact !== undefined || isOfFile) return exact;
  // Of a server: `schema.name`, quoted as the server does it. A name without a schema may be the only one.
  const plain = (text: string) => text.replaceAll('"', '').toLowerCase();
  const qualified = tables.filter(({schema}) => plain(schema.name) === plain(name));
  const own = tables.filter(({schema}) => plain(schema.name).endsWith(`.${plain(name)}`));
  const found = qualified.length > 0 ? qualified : own;
  return found.length === 1 ? found[0] : undefined;
}

const isSame = (one: string, other: string) => foldAscii(one) === foldAscii(other);

/** The one of these names that a written one means. */
export const nameAmong = (names: readonly string[], written: string): string | undefined =>
  names.find((name) => name === written) ?? names.find((name) => isSame(name, written));

/** More names than this do not help. */
const mostNames = 20;

function listed(tables: readonly TableBackup[]): string {
  const names = tables.map(({schema}) => quoteName(schema.name));
  if (names.length <= mostNames) return names.join(', ');
  return `${names.slice(0, mostNames).join(', ')} and ${names.length - mostNames} more`;
}

/** Runs `read`; damage that it meets names the backup and the table. */
export async function namingDamage<T>(opened: OpenedBackup, table: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isDamage(error) || !(error instanceof BkpError)) throw error;
    throw new BkpError(error.code, `table ${table} of ${labelOf(opened)} cannot be read: ${error.message}`, {
      cause: error.cause,
      next:
        `VERIFY ${quoteName(opened.collection)} names everything that is damaged; ` +
        `SHOW BACKUPS IN ${quoteName(opened.collection)} lists other backups`,
      context: {...error.context, table, backup: opened.backup.body.backup},
    });
  }
}
