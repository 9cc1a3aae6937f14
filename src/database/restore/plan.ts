import {BkpError, didYouMean} from '../../errors/index.ts';
import type {DatabaseMoment, FileTarget} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Catalog, type CatalogFile, readCatalog} from '../stored/catalog.ts';
import {findDatabaseBackup} from '../stored/find.ts';
import type {DatabaseBackup} from '../stored/manifest.ts';
import type {DatabaseBackupName} from '../stored/names.ts';

export type DatabaseRestoreRequest = {
  /** May be left away when the store holds one only. */
  instance?: string;
  /** The newest backup at or before this moment, microseconds since 1970; absent: the newest. */
  at?: number;
  /** Only these tables, with all that belongs to no table; absent: all. */
  tables?: readonly string[];
  /** Also files that come back only when asked for: a server's configuration. Default false. */
  optional?: boolean;
};

/** What a restore will do; a value, made before anything is written. */
export type DatabaseRestorePlan = {
  instance: string;
  backup: DatabaseBackupName;
  takenAtMicros: number;
  /** Its tables are those that come back. */
  database: DatabaseMoment;
  /** Only these tables; absent: all. */
  tables?: readonly string[];
  optional: boolean;
  files: number;
  /** Plain bytes of the files. */
  logicalBytes: number;
  /** Bytes to be read from the store, what files share counted once; absent unless it was asked for. */
  fetchBytes?: number;
  /** What the restored files take: plain bytes and the zeros that follow them. */
  neededBytes: number;
  /** What the target's disk has left; absent when there is no target, or nobody can tell. */
  freeBytes?: number | undefined;
  /** Why nothing can be restored there. */
  inTheWay?: string | undefined;
};

/**
 * @param options.fetchBytes also looks up every chunk, to tell how much is fetched and whether all are there. Default true
 * @throws BkpError `BACKUP_NOT_FOUND` | `TABLE_NOT_FOUND` | `BAD_REQUEST` | `OBJECT_MISSING` | `OBJECT_DAMAGED`
 */
export async function planDatabaseRestore(
  tools: {vault: VaultReader; target?: FileTarget},
  request: DatabaseRestoreRequest,
  options: {fetchBytes?: boolean} = {},
): Promise<DatabaseRestorePlan> {
  const {vault, target} = tools;
  const backup = await findDatabaseBackup(vault, request);
  const catalog = await readCatalog(vault, backup);
  const {tables, optional = false} = request;
  const {files, database} = choose(backup, catalog, {optional, ...(tables === undefined ? {} : {tables})});
  const logicalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return {
    instance: backup.body.instance,
    backup: backup.body.backup,
    takenAtMicros: backup.body.takenAtMicros,
    database,
    ...(tables === undefined ? {} : {tables}),
    optional,
    files: files.length,
    logicalBytes,
    ...(options.fetchBytes === false ? {} : {fetchBytes: await fetchBytesOf(vault, catalog, files)}),
    neededBytes: logicalBytes + files.reduce((sum, file) => sum + file.zeroTailBytes, 0),
    ...(await target?.survey?.(database)),
  };
}

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` when it is known that not all of it can be fetched */
async function fetchBytesOf(vault: VaultReader, {ids}: Catalog, files: readonly CatalogFile[]): Promise<number> {
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const chunks = files.flatMap((file) => ids.range(file.firstChunk, file.chunks));
  const recipes = [{sizeBytes, depth: 0, chunks}];
  const fault = await (await vault.survey()).faultOf(recipes);
  if (fault !== undefined) throw fault;
  return vault.storedBytes(recipes);
}

/** The files of a backup that come back, and what is told to the target. @throws BkpError `TABLE_NOT_FOUND` */
export function choose(
  {body}: DatabaseBackup,
  {files}: Catalog,
  {tables, optional}: {tables?: readonly string[]; optional: boolean},
): {files: readonly CatalogFile[]; database: DatabaseMoment} {
  const wanted = tables === undefined ? undefined : new Set(tables);
  if (wanted !== undefined) requireTables(body.database, files, wanted);
  const isWanted = (table: string | undefined) => table === undefined || wanted === undefined || wanted.has(table);
  return {
    files: files.filter((file) => isWanted(file.table) && (optional || file.optional === undefined)),
    database: {...body.database, tables: body.database.tables.filter(({name}) => isWanted(name))},
  };
}

function requireTables(database: DatabaseMoment, files: readonly CatalogFile[], wanted: ReadonlySet<string>): void {
  const owned = new Set(files.flatMap(({table}) => (table === undefined ? [] : [table])));
  if (owned.size === 0) {
    throw new BkpError('UNSUPPORTED', `a backup of ${database.product} holds no tables that could come back alone`, {
      next: 'restore the whole database into another place, and copy the tables from there',
    });
  }
  const known = [...new Set([...owned, ...database.tables.map(({name}) => name)])];
  for (const table of wanted) {
    if (known.includes(table)) continue;
    const meant = didYouMean(table, known);
    throw new BkpError('TABLE_NOT_FOUND', `the backup holds no table ${table}`, {
      next: meant === undefined ? `it holds ${listed(known)}` : `did you mean ${meant}?`,
      context: {table},
    });
  }
}

const mostListed = 20;

function listed(names: readonly string[]): string {
  const more = names.length > mostListed ? `, and ${names.length - mostListed} more` : '';
  return [...names].sort().slice(0, mostListed).join(', ') + more;
}
