import {
  attemptRestore,
  type DraftReport,
  drillFaults,
  isoText,
  type KeptReport,
  keepReport,
  partOf,
  type Report,
  type ReportAuthor,
  type ReportedCheck,
  recordDrill,
  type WorkTools,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {microsText} from '../../lib/time.ts';
import type {FileTarget, RestoredDatabase, RestoredFindings, RestoredSql} from '../../sources/index.ts';
import type {Vault, VaultReader} from '../../vault/index.ts';
import {choose} from '../restore/plan.ts';
import {type DatabaseRestoreReport, restoreDatabase} from '../restore/restore.ts';
import {readCatalog} from '../stored/catalog.ts';
import {type DatabaseBackup, readDatabaseBackup} from '../stored/manifest.ts';
import {backupMicros, type DatabaseBackupName, databaseManifestKey} from '../stored/names.ts';
import {readBack} from './read-back.ts';

export type DatabaseDrillRequest = {
  instance: string;
  backup: DatabaseBackupName;
  /** Queries that must hold in the restored database. */
  queries: readonly string[];
};

export type DatabaseDrillTools = WorkTools & {
  vault: Vault;
  /** An empty place, which the caller removes. */
  target: FileTarget;
  /** What the target has published. It is closed by the caller. */
  restored: RestoredDatabase;
  check: (sql: RestoredSql, query: string) => Promise<ReportedCheck>;
  author: ReportAuthor;
  /** 8 random hex digits. */
  random: string;
};

export type DatabaseDrillReport = KeptReport & {files: number; logicalBytes: number};

/**
 * Restores a backup into a scratch place as RESTORE DATABASE does, reads every file back, has the database system
 * examine it, and leaves a report beside the backup, whether it passed or not. What only keeps the drill from running
 * (a full disk, a store out of reach) is an error without a report: nothing was proved.
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault | `PRECONDITION` for queries that nothing can run
 */
export async function drillDatabase(
  tools: DatabaseDrillTools,
  request: DatabaseDrillRequest,
): Promise<DatabaseDrillReport> {
  const {nowMicros, author} = tools;
  const {instance, backup: name} = request;
  // Copies on this machine prove nothing about the store.
  const {vault, record} = tools.vault.witnessed();
  const startedAtMicros = nowMicros();
  const backup = await readDatabaseBackup(vault, instance, name);
  const {restored, fault} = await attemptRestore(() => trial({...tools, vault}, backup));
  const restoredAtMicros = nowMicros();
  const queries = restored?.findings?.faults.length === 0 ? await runQueries(tools, request.queries) : [];
  const faults = [...(restored?.findings.faults ?? []), ...drillFaults(fault, queries)];
  const draft: DraftReport = {
    level: 'restore',
    instance,
    backup: name,
    takenAt: microsText(backup.body.takenAtMicros),
    startedAt: isoText(startedAtMicros),
    endedAt: isoText(nowMicros()),
    ...(restored === undefined ? {} : {restoreSeconds: (restoredAtMicros - startedAtMicros) / 1e6}),
    ...statementsOf(backup, restored, queries.length),
    tables: restored === undefined ? [] : tablesOf(restored.findings, faults.length === 0),
    queries,
    faults,
    by: author,
  };
  const hasPassed = restored !== undefined && faults.length === 0;
  if (hasPassed) await recordDrill(record, [backup.data, backup.list], tools);
  const kept = await keepReport(tools, databaseManifestKey(instance, name), draft);
  if (hasPassed) return {...kept, ...restored};
  throw new BkpError('DAMAGE_FOUND', `the drill of ${instance}/${microsText(backupMicros(name))} failed`, {
    details: faults,
    next: `bkp report ${instance} shows the report; an earlier backup may pass: VERIFY DATABASE AT '…'`,
  });
}

/** Of the whole drill. What the database system checks by itself, before the queries, shows no progress. */
const shares = {restore: {from: 0, to: 0.55}, readBack: {from: 0.55, to: 0.85}, queries: {from: 0.95, to: 1}};

type Trial = Pick<DatabaseRestoreReport, 'files' | 'logicalBytes'> & {findings: RestoredFindings};

async function trial(
  tools: Omit<DatabaseDrillTools, 'vault'> & {vault: VaultReader},
  backup: DatabaseBackup,
): Promise<Trial> {
  const {vault, restored, signal} = tools;
  const {instance, backup: name, database: moment} = backup.body;
  const restoring = {...tools, progress: partOf(tools, shares.restore)};
  const {files, logicalBytes} = await restoreDatabase(restoring, {instance, backup: name, optional: false});
  const catalog = await readCatalog(vault, backup);
  const chosen = choose(backup, catalog, {optional: false}).files;
  const wrong = await readBack({signal, progress: partOf(tools, shares.readBack)}, restored, {
    files: chosen,
    ids: catalog.ids,
  });
  // What is not the backup on the disk proves nothing about the backup.
  if (wrong.length > 0) throw unlike(wrong);
  return {files, logicalBytes, findings: await restored.examine({moment, signal})};
}

/** Every block had the right hash before it was written. */
function unlike(wrong: readonly string[]): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', 'the scratch disk does not return what was written to it', {
    details: wrong,
    next: 'bkp config set verify.scratch DIR names a folder on another disk; check this one',
  });
}

async function runQueries(
  {restored, check, signal, ...tools}: DatabaseDrillTools,
  queries: readonly string[],
): Promise<readonly ReportedCheck[]> {
  if (queries.length === 0) return [];
  const sql = restored.sql();
  if (sql === undefined) {
    throw new BkpError('PRECONDITION', 'CHECK_SQL needs a server that opens the restored database', {
      next: 'set verify.questdb.command to the command that starts one',
    });
  }
  const progress = partOf(tools, shares.queries);
  const results: ReportedCheck[] = [];
  for (const query of queries) {
    signal.throwIfAborted();
    progress({phase: 'Queries', bytesDone: 0, itemsDone: results.length, itemsTotal: queries.length});
    results.push(await check(sql, query));
  }
  return results;
}

function statementsOf(
  {body}: DatabaseBackup,
  restored: Trial | undefined,
  queries: number,
): Pick<DraftReport, 'checked' | 'notChecked'> {
  if (restored === undefined) {
    return {checked: [], notChecked: ['The backup could not be restored, so nothing else was checked.']};
  }
  const {files, findings} = restored;
  const damage = body.sourceDamage ?? 0;
  return {
    checked: [
      `Restored into an empty place: ${formatCount(files, 'file')}, every byte with the hash that the backup names.`,
      'All of it was read back from the disk, and every byte compared again.',
      ...findings.checked,
      ...(damage > 0 ? [`The database had ${damage} faults when the backup was taken.`] : []),
      ...(queries > 0 ? [`${queries} of the user's queries ran in it.`] : []),
    ],
    notChecked: findings.notChecked,
  };
}

/** All bytes are those of the backup: so are the rows, unless the database system found something else. */
function tablesOf({tables}: RestoredFindings, isSound: boolean): Report['tables'] {
  return tables.map(({name, rows, expected}) => ({
    ...{name, rows},
    ...(expected === undefined ? {} : {expected}),
    content: expected !== undefined && expected !== rows ? 'different' : isSound ? 'equal' : 'unknown',
  }));
}

/** Bytes of the restored database. */
export async function databaseDrillBytes(
  vault: VaultReader,
  {instance, backup}: Pick<DatabaseDrillRequest, 'instance' | 'backup'>,
): Promise<number> {
  const {body} = await readDatabaseBackup(vault, instance, backup);
  return body.bytes + body.zeroBytes;
}
