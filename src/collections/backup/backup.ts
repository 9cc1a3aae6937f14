import {
  goneTexts,
  hasRules,
  keptByRules,
  mergeSmallPacks,
  noticeIfNamedAhead,
  rulesOf,
  type WorkTools,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {openCalendar} from '../../schedule/index.ts';
import type {TableSource} from '../../sources/index.ts';
import type {Vault, VaultWriter} from '../../vault/index.ts';
import type {Definition} from '../stored/definition.ts';
import {type LiveCollection, requireCollection} from '../stored/folder.ts';
import {type BackupBody, toManifest, versionFor} from '../stored/manifest.ts';
import {
  type BackupName,
  type BackupType,
  collectionPrefix,
  manifestKey,
  nameMs,
  nextBackupName,
} from '../stored/names.ts';
import {pinsInForce} from '../stored/pinned.ts';
import {takenTimes} from '../stored/taken-times.ts';
import {requireChain} from './chain.ts';
import {type CopiedTables, copyTables} from './copy-tables.ts';
import type {FoldLimits} from './fold.ts';
import {requireOwnDatabase} from './plan.ts';

export type BackupRequest = {
  collection: string;
  type: BackupType;
  name: BackupName;
  operation: string;
  /** The collection continues with this database from now on, whichever it was before. Default false. */
  adopt?: boolean | undefined;
  /** When deltas are merged. */
  fold?: FoldLimits | undefined;
};

export type BackupReport = {
  backup: BackupName;
  rows: number;
  deletedRows: number;
  logicalBytes: number;
  storedBytes: number;
  /**
   * How many older backups the KEEP_… settings do not keep now, judged by the names where they can be right. They have
   * not been removed yet: a cleanup makes its own plan.
   */
  beyondKept: number;
};

/**
 * Takes a backup: one snapshot of all members, its layers into the vault, the manifest last. The backup exists
 * once its manifest does. Only then is the source's change log trimmed, so a process that ends in between
 * repeats work and loses nothing.
 */
export async function takeBackup(
  tools: WorkTools & {vault: Vault; source: TableSource},
  request: BackupRequest,
): Promise<BackupReport> {
  const lease = {purpose: `operation ${request.operation}`, subject: `collection ${request.collection}`};
  const writer = await tools.vault.writer(lease, {signal: tools.signal});
  const report = await takeUnderLease(tools, writer, request);
  await mergeSmallPacks(tools, writer, request.operation);
  return report;
}

/** Closes the writer. */
async function takeUnderLease(
  tools: WorkTools & {vault: Vault; source: TableSource},
  writer: VaultWriter,
  request: BackupRequest,
): Promise<BackupReport> {
  const {vault, source, signal} = tools;
  try {
    // The collection may have changed since the plan was made. Under the lease it cannot change any more.
    const live = await requireCollection(vault, request.collection, {recent: true});
    for (const text of goneTexts(vault, collectionPrefix(request.collection))) tools.notice(text);
    const name = isStillFree(request, live.taken)
      ? request.name
      : nextBackupName(request.type, tools.nowMicros(), live.taken);
    const newest = live.taken.toSorted().at(-1);
    noticeIfNamedAhead(tools, newest && {name: newest, micros: nameMs(newest) * 1000}, name);
    const parent = request.type === 'incremental' ? await requireChain(vault, live) : undefined;
    if (!request.adopt) await requireOwnDatabase(vault, source, live, request.type);
    const copied = await copyTables(tools, writer, {live, name, parent, fold: request.fold});
    signal.throwIfAborted();
    tools.progress({...copied.meter.state(), phase: 'Commit'});
    await writer.flush();
    const {storedBytes} = writer.stats;
    const {tables, objects, excepted, takenAt, mark, rows, deletedRows, logicalBytes} = copied;
    await commit(writer, copied, {
      version: versionFor({tables, objects}),
      collection: {id: live.definition.id, name: live.definition.name},
      backup: name,
      type: request.type,
      chain: parent?.body.chain ?? name,
      parent: parent?.body.backup,
      takenAt,
      source: copied.source,
      mark,
      tables,
      objects: objects.length === 0 ? undefined : objects,
      excepted: excepted.length === 0 ? undefined : excepted,
      cost: {rows, deletedRows, logicalBytes, storedBytes},
    });
    await trimChangeLog(tools, live, mark);
    const beyondKept = await countBeyondKept(tools, live.definition);
    return {backup: name, rows, deletedRows, logicalBytes, storedBytes, beyondKept};
  } finally {
    await writer.close();
  }
}

async function commit(writer: VaultWriter, {streams}: CopiedTables, body: BackupBody): Promise<void> {
  const key = manifestKey(body.collection.name, body.backup);
  if ((await writer.commit(key, toManifest(body, streams))) === 'written') return;
  throw new BkpError('BUSY', `another bkp took the name ${body.backup} meanwhile`, {
    next: 'take the backup again',
    retryable: true,
  });
}

/** The backup exists already, so a failure does not undo it: the next backup trims the log. */
async function trimChangeLog(
  {source, notice}: Pick<WorkTools, 'notice'> & {source: TableSource},
  {definition}: LiveCollection,
  mark: string | undefined,
): Promise<void> {
  try {
    if (mark !== undefined) await source.acknowledge(definition.id, mark);
    // Increments may have been disabled since the last backup: then the source stops tracking changes for this
    // collection.
    else await source.untrack(definition.id);
  } catch (error) {
    notice(`the source's change log was not trimmed: ${(error as Error).message}`);
  }
}

/** The backup exists already: if the store fails now, the cleanup after the next backup removes the older ones. */
async function countBeyondKept(tools: WorkTools & {vault: Vault}, {name, settings}: Definition): Promise<number> {
  const rules = rulesOf(settings);
  if (!hasRules(rules)) return 0;
  const nowMs = tools.nowMicros() / 1000;
  const found = await requireCollection(tools.vault, name).catch((error: unknown) => {
    if (!(error instanceof BkpError)) throw error;
    tools.notice(`older backups stay for now: ${error.message}`);
  });
  if (found === undefined) return 0;
  const {backups, pins} = found;
  // Names that had to follow one of a clock that was ahead are no times.
  const isAhead = backups.length > 0 && nameMs(backups.at(-1)!) > nowMs;
  const times = isAhead ? await takenTimes(tools.vault, name, backups) : backups.map(nameMs);
  const newestFirst = backups.map((backup, at) => ({backup, takenMs: times[at]!})).toReversed();
  const calendar = openCalendar(settings.scheduleZone);
  const kept = new Set(keptByRules(newestFirst, {rules, calendar, nowMs, unsound: 'keep-all'}));
  const pinned = new Set(pinsInForce(pins, nowMs).map(([backup]) => backup));
  return newestFirst.filter((one) => !kept.has(one) && !pinned.has(one.backup)).length;
}

function isStillFree({name}: BackupRequest, taken: readonly BackupName[]): boolean {
  const time = (backup: BackupName) => backup.slice(0, '20250215120000Z'.length);
  return taken.every((other) => time(other) < time(name));
}
