import {
  freeSpace,
  orphanReports,
  removeEndedPins,
  removeManifests,
  removeOrphanReports,
  reportsPrefix,
  type WorkTools,
  waitForCollector,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {type CollectPlan, isDamage, type Vault, type VaultCollector} from '../../vault/index.ts';
import {type CollectionFolder, readAllFolders} from '../stored/folder.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';
import {type DropBackupOptions, dropBackup} from './drop-backup.ts';
import {nothingGoes, planRetention, type RetentionOptions} from './retention.ts';

export type CleanupReport = {freedBytes: number; backups: number};

/** The collection whose KEEP_… settings apply. */
export type CleanupRetention = Pick<RetentionOptions, 'readerOf'> & {collection: string; drop?: undefined};

/** The backup that DROP BACKUP removes. */
export type CleanupDrop = Omit<DropBackupOptions, 'nowMs'> & {collection: string; drop: BackupName};

/**
 * Removes the backups of one collection that its KEEP_… settings do not keep and those of dropped collections, then
 * the data that no manifest needs any more. It waits for running backups to end. After a crash at any point, a
 * second call has the same result.
 */
export async function cleanUp(
  tools: WorkTools & {vault: Vault},
  operation: string,
  wanted?: CleanupRetention | CleanupDrop,
): Promise<CleanupReport> {
  const {vault} = tools;
  const collector = await waitForCollector(tools, operation);
  try {
    const expired = wanted === undefined ? 0 : await removeWanted(tools, collector, wanted);
    const folders = await readAllFolders(vault);
    for (const folder of folders) await removeEndedPins(collector, folder, tools.nowMicros() / 1000);
    const {dropped, manifests, reports} = removalsIn(folders);
    // Manifests first: a definition that lists dropped backups may be removed only after them.
    const staying = await removeManifests(tools, collector, manifests);
    const remain = [...staying].map((key) => reportsPrefix(key));
    await collector.remove(reports.filter((key) => !remain.some((prefix) => key.startsWith(prefix))));
    for (const {manifests: promised, ...definitions} of dropped) {
      if (!promised.some((key) => staying.has(key))) await removeDefinitions(collector, definitions);
    }
    const announcements = dropped.flatMap(({creating}) => creating);
    await collector.removeEndings(announcements, {inAnyStore: true});
    // Of whole databases in the same store.
    await removeOrphanReports(vault, collector, 'backup/');
    const backups = expired + manifests.length - staying.size;
    return {freedBytes: await freeSpace(tools, collector, backups), backups};
  } finally {
    await collector.close();
  }
}

/** What a cleanup without a collection would do now. */
export type CleanupPlan = {
  /** Manifests of backups of dropped collections. */
  manifests: readonly Key[];
  /** Reports of backups that are gone or void. */
  reports: readonly Key[];
  packs: CollectPlan;
};

/**
 * Plans a cleanup, and writes nothing. A cleanup plans the same again under its lease, because backups may have been
 * taken or removed by then.
 * @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING` if a cleanup would refuse to remove data
 */
export async function planCleanup(vault: Vault, options: {signal?: AbortSignal} = {}): Promise<CleanupPlan> {
  const {manifests, reports} = removalsIn(await readAllFolders(vault));
  const ofDatabases = await orphanReports(vault, 'backup/');
  return {manifests, reports: [...reports, ...ofDatabases], packs: await vault.planTrial(manifests, options)};
}

function removalsIn(folders: readonly CollectionFolder[]) {
  const dropped = folders.map(({toRemove}) => toRemove);
  return {
    dropped,
    manifests: dropped.flatMap((keys) => keys.manifests),
    reports: dropped.flatMap((keys) => keys.reports),
  };
}

async function removeWanted(
  tools: WorkTools & {vault: Vault},
  collector: VaultCollector,
  wanted: CleanupRetention | CleanupDrop,
): Promise<number> {
  if (wanted.drop === undefined) return removeOld(tools, collector, wanted);
  const {drop, ...options} = wanted;
  await dropBackup(tools.vault, collector, {...options, backup: drop, nowMs: tools.nowMicros() / 1000});
  return 1;
}

/**
 * Plans again under the exclusive lease: since the cleanup was requested, backups may have been taken or
 * removed, and the settings may have changed.
 * @returns how many backups were removed
 */
async function removeOld(
  tools: WorkTools & {vault: Vault},
  collector: VaultCollector,
  {collection, ...options}: CleanupRetention,
): Promise<number> {
  const plan = await planRetention(tools.vault, collection, {...options, nowMs: tools.nowMicros() / 1000}).catch(
    (error: unknown) => {
      // The collection was dropped meanwhile: its own cleanup removes everything.
      if (error instanceof BkpError && error.code === 'COLLECTION_NOT_FOUND') return undefined;
      throw error;
    },
  );
  if (plan === undefined) return 0;
  if (plan.damage !== undefined) throw plan.damage;
  const keyOf = ({backup}: {backup: BackupName}) => manifestKey(collection, backup);
  // Another bkp may have removed the manifest of a pinned backup; the pin is a second one.
  const keptKeyOf = ({backup}: {backup: BackupName}) => plan.pins.get(backup)?.key ?? keyOf({backup});
  const toRemove = plan.verdicts.filter(({goes}) => goes);
  if (toRemove.length === 0) return 0;
  try {
    await collector.requireIntact(plan.verdicts.filter(({counts}) => counts).map(keptKeyOf), {signal: tools.signal});
  } catch (error) {
    if (isDamage(error)) throw nothingGoes(plan, error);
    throw error;
  }
  tools.signal.throwIfAborted();
  const staying = await removeManifests(tools, collector, toRemove.map(keyOf));
  const gone = toRemove.filter((verdict) => !staying.has(keyOf(verdict))).map(({backup}) => backup);
  if (gone.length > 0) tools.notice(`removed by ${plan.settings.join(', ')}: ${gone.join(', ')}`);
  return gone.length;
}

/** The drop last, and only after all others: without it, a dropped collection would exist again. */
async function removeDefinitions(
  collector: VaultCollector,
  {definitions, drop}: Pick<CollectionFolder['toRemove'], 'definitions' | 'drop'>,
): Promise<void> {
  const staying = await collector.remove(definitions);
  if (drop !== undefined && staying.length === 0) await collector.removeEndings([drop]);
}
