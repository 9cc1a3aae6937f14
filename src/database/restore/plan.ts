import {BkpError, didYouMean} from '../../errors/index.ts';
import {capabilitiesOf, type DatabaseMoment, type FileTarget} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Catalog, type CatalogFile, readCatalog} from '../stored/catalog.ts';
import {findDatabaseBackup} from '../stored/find.ts';
import type {DatabaseBackup} from '../stored/manifest.ts';
import type {DatabaseBackupName} from '../stored/names.ts';
import {knownMissing, type MissingTable, recipeOf} from './known-missing.ts';

export type DatabaseRestoreRequest = {
  /** Optional if the store has only one. */
  instance?: string | undefined;
  /** The newest backup at or before this time, microseconds since 1970. Absent: the newest. */
  at?: number | undefined;
  /** Only these tables, and the files of no table. Absent: all. */
  tables?: readonly string[] | undefined;
  /** Also optional files: a server's configuration. Default false. */
  optional?: boolean | undefined;
  /** Only what is not damaged. Default false. */
  partial?: boolean | undefined;
};

/** What a restore will do; a value, made before anything is written. */
export type DatabaseRestorePlan = {
  instance: string;
  backup: DatabaseBackupName;
  takenAtMicros: number;
  /** `tables` are those that are restored. */
  database: DatabaseMoment;
  /** Only these tables. Absent: all. */
  tables?: readonly string[] | undefined;
  optional: boolean;
  files: number;
  /** Plain bytes of the files. */
  logicalBytes: number;
  /** Bytes to read from the store. What files share is counted once. Absent unless requested. */
  fetchBytes?: number | undefined;
  /** Size of the restored files: plain bytes and the zeros that follow them. */
  neededBytes: number;
  /** Free space on the target's disk; absent without a target, or if it is unknown. */
  freeBytes?: number | undefined;
  /** Of a partial restore: tables of which something is known to be lost. */
  missing?: readonly MissingTable[] | undefined;
  /** Why nothing can be restored to the target. */
  inTheWay?: string | undefined;
  /** What removes it. */
  nextStep?: string | undefined;
};

/**
 * @param options.fetchBytes also looks up every chunk, to compute how much is fetched and whether any is
 *   missing. Default true
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
  const {tables, optional = false, partial = false} = request;
  const {files, database} = choose(backup, catalog, {optional, tables});
  if (partial) requireParts(backup.body.database);
  const logicalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return {
    instance: backup.body.instance,
    backup: backup.body.backup,
    takenAtMicros: backup.body.takenAtMicros,
    database,
    tables,
    optional,
    files: files.length,
    logicalBytes,
    ...(options.fetchBytes === false ? {} : await fetched(vault, catalog, files, {partial})),
    neededBytes: logicalBytes + files.reduce((sum, file) => sum + file.zeroTailBytes, 0),
    ...(await target?.survey?.(database)),
  };
}

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` if something of it is known to be missing or damaged */
async function fetched(
  vault: VaultReader,
  catalog: Catalog,
  files: readonly CatalogFile[],
  {partial}: {partial: boolean},
): Promise<Pick<DatabaseRestorePlan, 'fetchBytes' | 'missing'>> {
  const survey = await vault.survey();
  const missing = partial ? await knownMissing(survey, catalog, files) : [];
  const lost = new Set(missing.map(({name}) => name));
  const recipe = recipeOf(
    catalog,
    files.filter(({table}) => table === undefined || !lost.has(table)),
  );
  const fault = partial ? undefined : await survey.faultOf([recipe]);
  if (fault !== undefined) throw fault;
  return {fetchBytes: await vault.storedBytes([recipe]), ...(missing.length === 0 ? {} : {missing})};
}

/** @throws BkpError `UNSUPPORTED` */
export function requireParts({product}: DatabaseMoment): void {
  if (capabilitiesOf(product).filesOfTables) return;
  throw new BkpError('UNSUPPORTED', `a backup of a whole ${capabilitiesOf(product).title} database has no parts`, {
    cause: 'it is one file, whose pages belong to all tables: without some of them it is no database',
    next: "restore an earlier backup: RESTORE DATABASE AT '-1 day' INTO './new.db'; SELECT * FROM backups() lists them",
  });
}

/** Chooses the files to restore, and what the target learns of the database. @throws BkpError `TABLE_NOT_FOUND` */
export function choose(
  {body}: DatabaseBackup,
  {files}: Catalog,
  {tables, optional}: {tables?: readonly string[] | undefined; optional: boolean},
): {files: readonly CatalogFile[]; database: DatabaseMoment} {
  const wanted = tables === undefined ? undefined : new Set(tables);
  if (wanted !== undefined) requireTables(body.database, files, wanted);
  // What the database lacks is no matter of single tables.
  const {leftOut, ...facts} = body.database;
  const isWanted = (table: string | undefined) => table === undefined || wanted === undefined || wanted.has(table);
  return {
    files: files.filter((file) => isWanted(file.table) && (optional || file.optional === undefined)),
    database: {
      ...facts,
      tables: facts.tables.filter(({name}) => isWanted(name)),
      ...(leftOut === undefined || wanted !== undefined ? {} : {leftOut}),
    },
  };
}

function requireTables(database: DatabaseMoment, files: readonly CatalogFile[], wanted: ReadonlySet<string>): void {
  const owned = new Set(files.flatMap(({table}) => (table === undefined ? [] : [table])));
  if (owned.size === 0) {
    throw new BkpError(
      'UNSUPPORTED',
      `a backup of ${database.product} has no tables that could be restored separately`,
      {
        next: 'restore the whole database into another place, and copy the tables from there',
      },
    );
  }
  const known = [...new Set([...owned, ...database.tables.map(({name}) => name)])];
  for (const table of wanted) {
    if (known.includes(table)) continue;
    const meant = didYouMean(table, known);
    throw new BkpError('TABLE_NOT_FOUND', `the backup has no table ${table}`, {
      next: meant === undefined ? `it has ${listed(known)}` : `did you mean ${meant}?`,
      context: {table},
    });
  }
}

const mostListed = 20;

function listed(names: readonly string[]): string {
  const more = names.length > mostListed ? `, and ${names.length - mostListed} more` : '';
  return [...names].sort().slice(0, mostListed).join(', ') + more;
}
