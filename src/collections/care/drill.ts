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
  recordDrill,
  type WorkTools,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {isInFile, type TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {Vault, VaultReader} from '../../vault/index.ts';
import {type RestoreReport, restoreBackup} from '../restore/restore.ts';
import {findBackup} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {type Backup, expectedRows, readBackup, takenAtText} from '../stored/manifest.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';
import {planVerify} from './verify.ts';

export type DrillRequest = {
  collection: string;
  backup: BackupName;
  /** SELECTs that must hold in the restored database. */
  queries: readonly string[];
};

export type DrillTools = WorkTools & {
  vault: Vault;
  /** An empty place, which the caller removes. */
  scratch: TableSource;
  /** Runs a query in the restored database. */
  check: (sql: string) => Promise<Report['queries'][number]>;
  /** Has the database check itself; sentences about it. @throws BkpError `SOURCE_DAMAGED` */
  verify: () => Promise<{checked: readonly string[]; notChecked: readonly string[]}>;
  author: ReportAuthor;
  /** 8 random hex digits. */
  random: string;
};

/** Of the whole drill. What a server checks by itself, between both, shows no progress. */
const shares = {restore: {from: 0, to: 0.9}, queries: {from: 0.95, to: 1}};

type Verified = Awaited<ReturnType<DrillTools['verify']>>;

export type DrillReport = KeptReport & Pick<RestoreReport, 'rows' | 'logicalBytes' | 'missing'>;

/**
 * Restores a backup into a scratch database as RESTORE does, with the database's own full check, compares it with what
 * the backup recorded, and leaves a report beside the backup, whether it passed or not. What only keeps the drill from
 * running (a full disk, a store out of reach) is an error without a report: nothing was proved.
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault
 */
export async function drill(tools: DrillTools, request: DrillRequest): Promise<DrillReport> {
  const {nowMicros, author, signal} = tools;
  const {collection, backup: name} = request;
  // Copies on this machine prove nothing about the store.
  const {vault, record} = tools.vault.witnessed();
  const startedAtMicros = nowMicros();
  const backup = await readBackup(vault, collection, name);
  const notices: string[] = [];
  const notice = (text: string) => {
    notices.push(text);
    tools.notice(text);
  };
  let verified: Verified = {checked: [], notChecked: []};
  const {restored, fault} = await attemptRestore(async () => {
    const report = await restoreBackup(
      {...tools, vault, source: tools.scratch, notice, progress: partOf(tools, shares.restore)},
      {collection, backup: name, stagingId: 'drill', check: 'full'},
    );
    verified = await tools.verify();
    return report;
  });
  const restoredAtMicros = nowMicros();
  const queries: Report['queries'][number][] = [];
  if (restored !== undefined) {
    const progress = partOf(tools, shares.queries);
    for (const sql of request.queries) {
      signal.throwIfAborted();
      progress({phase: 'Queries', bytesDone: 0, itemsDone: queries.length, itemsTotal: request.queries.length});
      queries.push(await tools.check(sql));
    }
  }
  const faults = drillFaults(fault, queries);
  const draft: DraftReport = {
    level: 'restore',
    collection,
    backup: name,
    takenAt: takenAtText(backup.body),
    startedAt: isoText(startedAtMicros),
    endedAt: isoText(nowMicros()),
    ...(restored === undefined ? {} : {restoreSeconds: (restoredAtMicros - startedAtMicros) / 1e6}),
    ...statementsOf(backup, restored, {queries: queries.length, verified}),
    tables: restored === undefined ? [] : comparedTables(backup, restored),
    queries,
    faults,
    by: author,
  };
  const hasPassed = restored !== undefined && faults.length === 0;
  if (hasPassed) await recordDrill(record, backup.streams, tools);
  const kept = await keepReport(tools, manifestKey(collection, name), draft);
  if (hasPassed) {
    const {rows, logicalBytes, missing} = restored;
    return {...kept, rows, logicalBytes, ...(missing === undefined ? {} : {missing})};
  }
  throw new BkpError('DAMAGE_FOUND', `the drill of ${collection}/${name} failed`, {
    details: faults,
    next: `bkp report ${quoteName(collection)} shows the report; an earlier backup may pass: VERIFY … AT '…'`,
  });
}

/** @returns the backup that is meant: the newest without `point` */
export async function planDrill(
  vault: VaultReader,
  {collection, point}: {collection: string; point: string | undefined},
): Promise<BackupName> {
  const named = await planVerify(vault, {collection, point});
  if (named !== undefined) return named;
  const {backups} = await requireReadable(vault, collection);
  return findBackup(vault, {collection, backups, point});
}

/** Whether a file is enough for the restored backup. Otherwise a server of its product must create a database. */
export async function isDrilledInFile(
  vault: VaultReader,
  of: Pick<DrillRequest, 'collection' | 'backup'>,
): Promise<boolean> {
  return isInFile((await readBackup(vault, of.collection, of.backup)).body.source.description);
}

/** About how many bytes the restored database has, its indexes and free space in pages included. */
export async function drillBytes(vault: VaultReader, of: Pick<DrillRequest, 'collection' | 'backup'>): Promise<number> {
  const {streams} = await readBackup(vault, of.collection, of.backup);
  return Math.ceil(streams.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0) * pagesPerByte);
}

const pagesPerByte = 1.3;

function statementsOf(
  {body}: Backup,
  restored: RestoreReport | undefined,
  {queries, verified}: {queries: number; verified: Verified},
): Pick<DraftReport, 'checked' | 'notChecked'> {
  if (restored === undefined) {
    return {checked: [], notChecked: ['The backup could not be restored, so nothing else was checked.']};
  }
  const compared = new Set(restored.published.filter(({content}) => content !== undefined).map(({name}) => name));
  const unknown = body.tables.filter(({schema}) => !compared.has(schema.name));
  const uncounted = unknown.filter((table) => expectedRows(table) === undefined);
  const namesOf = (tables: typeof unknown) => tables.map(({schema}) => schema.name).join(', ');
  return {
    checked: [
      'Every byte that the restore read had the hash that the backup names.',
      `Restored into an empty database, with indexes, triggers and views: ${formatCount(body.tables.length, 'table')}.`,
      ...verified.checked,
      ...(compared.size > 0
        ? [`As the backup recorded, in number of rows and in every value: ${formatCount(compared.size, 'table')}.`]
        : []),
      ...(unknown.length > uncounted.length
        ? [`As it recorded, in number of rows: ${formatCount(unknown.length - uncounted.length, 'more table')}.`]
        : []),
      ...(queries > 0 ? [`${queries} of the user's queries ran in it.`] : []),
    ],
    notChecked: [
      ...verified.notChecked,
      ...(restored.missing ?? []).map(({name, why}) => `${sentence(name)} is missing after a restore: ${why}.`),
      ...(unknown.length > 0 ? [`The backup recorded no hash of the values of ${namesOf(unknown)}.`] : []),
      ...(uncounted.length > 0 ? [`It recorded no number of rows of ${namesOf(uncounted)}.`] : []),
      "Whether the backup is what the database contained: LEVEL='source' compares them.",
    ],
  };
}

const sentence = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);

function comparedTables({body}: Backup, {published}: RestoreReport): Report['tables'] {
  return body.tables.map((table) => {
    const {name} = table.schema;
    const found = published.find((one) => one.name === name);
    const expected = expectedRows(table);
    // A restore whose contents differ fails.
    const content = found?.content === undefined ? 'unknown' : 'equal';
    return {name, rows: found?.rows ?? 0, ...(expected === undefined ? {} : {expected}), content};
  });
}
