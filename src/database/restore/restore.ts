import {startMeter, type WorkTools} from '../../backups/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import type {FileTarget} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {noticeCheck} from '../backup/check-notice.ts';
import {readCatalog} from '../stored/catalog.ts';
import {readDatabaseBackup} from '../stored/manifest.ts';
import type {DatabaseBackupName} from '../stored/names.ts';
import {batchesOf, DamagedFile, type RestoreWork, restoreBatch} from './batch.ts';
import {choose, type DatabaseRestorePlan} from './plan.ts';

export type DatabaseRestoreReport = {
  instance: string;
  backup: DatabaseBackupName;
  files: number;
  /** Files that an earlier try had written completely. They were read and checked. */
  filesTakenOver: number;
  logicalBytes: number;
};

/** Batches that are restored concurrently. Each reads up to 6 MiB ahead, and four keep a disk busy. */
const concurrentBatches = 4;

/**
 * Restores the files of a plan, checking the hash of each chunk. Either all of them are published or none.
 * After an interruption (kill -9, a full disk, a cancellation) the next restore continues: it checks the
 * complete files and keeps them.
 * @throws BkpError `OBJECT_DAMAGED` (`hash mismatch [path=…, expected=…, actual=…]`, after the target recorded
 *   the damaged table), and what the target throws
 */
export async function restoreDatabase(
  tools: WorkTools & {vault: VaultReader; target: FileTarget},
  plan: Pick<DatabaseRestorePlan, 'instance' | 'backup' | 'tables' | 'optional'>,
): Promise<DatabaseRestoreReport> {
  try {
    return await restoreFiles(tools, plan);
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    await tools.target.fail(error.tables);
    throw error.reported;
  }
}

/** The same, and the target learns nothing of damage. @throws DamagedFile; what {@link restoreDatabase} throws */
export async function restoreFiles(
  tools: WorkTools & {vault: VaultReader; target: FileTarget},
  plan: Pick<DatabaseRestorePlan, 'instance' | 'backup' | 'tables' | 'optional'>,
): Promise<DatabaseRestoreReport> {
  const {vault, target, signal} = tools;
  const backup = await readDatabaseBackup(vault, plan.instance, plan.backup);
  // This checks every path before anything is written.
  const catalog = await readCatalog(vault, backup);
  const {files, database} = choose(backup, catalog, plan);
  await target.prepare(database);
  for (const text of database.leftOut ?? []) tools.notice(text);
  const logicalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const meter = startMeter(tools, {bytesTotal: logicalBytes, itemsTotal: files.length});
  let filesTakenOver = 0;
  const stop = new AbortController();
  const work: RestoreWork = {vault, target, meter, ids: catalog.ids, signal: AbortSignal.any([signal, stop.signal])};
  await forEachConcurrent(batchesOf(files), concurrentBatches, async (batch) => {
    try {
      filesTakenOver += await restoreBatch(work, batch);
    } catch (error) {
      stop.abort();
      throw error;
    }
  });
  signal.throwIfAborted();
  tools.progress({...meter.state(), phase: 'Publish'});
  noticeCheck(
    await target.publish({signal}),
    tools.notice,
    'the restored database, whose bytes are those of the backup',
  );
  return {instance: plan.instance, backup: plan.backup, files: files.length, filesTakenOver, logicalBytes};
}
