import {unlessUnreadable, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {isDamage, type Recipe, type Survey, type Vault, type VaultReader, type VaultWriter} from '../../vault/index.ts';
import {type Backup, readBackup, toManifest} from '../stored/manifest.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';
import {damagedInTarget} from './failures.ts';

export type CopyReport = {
  /** Backups that were copied. Those that the target had before do not count. */
  backups: number;
  /** Backups that the target had, and that got back what it had lost of them. */
  mended: number;
  /** Plain bytes of the streams of both. */
  logicalBytes: number;
  /** Bytes written to the target. */
  storedBytes: number;
};

export type CopyJob = WorkTools & {
  from: Vault;
  to: Vault;
  writer: VaultWriter;
  collection: string;
  report: CopyReport;
  /** Of the target. */
  survey: Survey;
};

/** Which of the backups is being copied. */
export type Items = {phase: string; itemsDone: number; itemsTotal: number};

/** Copies a backup that the target does not have. */
export async function copyOne(job: CopyJob, name: BackupName, items: Items): Promise<void> {
  const {from, to, collection, report} = job;
  const backup = await readBackup(from, collection, name);
  if ((await copyStreams(job, backup, items)) === 'exists') {
    throw new BkpError(
      'BUSY',
      `${collection}/${name} appeared in ${to.location} meanwhile, or a cleanup there is still to come`,
      {next: 'copy again; if that fails too, run bkp collection cleanup on that store first', retryable: true},
    );
  }
  report.backups += 1;
  report.logicalBytes += sizeOf(backup.streams);
}

/** The target has the manifest, but may have lost something that the backup needs: that is copied again. */
export async function mendOne(job: CopyJob, name: BackupName, items: Items): Promise<void> {
  const {from, to, collection, survey, report, notice} = job;
  const existing = await readBackup(to, collection, name).catch((error: unknown) => {
    throw isDamage(error) ? damagedInTarget(job, name, error) : error;
  });
  const fault = await survey.faultOf(existing.streams, {signal: job.signal});
  const original = await unlessUnreadable(readBackup(from, collection, name));
  if (original !== undefined) requireSame(to, existing, original);
  if (fault === undefined) {
    if (original !== undefined) return;
    notice(`${collection}/${name} is damaged in ${from.location}, and complete in ${to.location}`);
    return;
  }
  await copyStreams(job, existing, items);
  notice(`${collection}/${name}: what ${to.location} had lost of it was copied again: ${fault.message}`);
  report.mended += 1;
  report.logicalBytes += sizeOf(existing.streams);
}

/** Reports damage to backups that only the target has: nothing can be copied for them. */
export async function reportOthers(
  {to, collection, survey, notice}: CopyJob,
  others: readonly BackupName[],
): Promise<void> {
  for (const name of others) {
    const existing = await unlessUnreadable(readBackup(to, collection, name));
    const fault = existing && (await survey.faultOf(existing.streams));
    if (fault !== undefined) {
      notice(`${collection}/${name} is in ${to.location} only, and is not complete: ${fault.message}`);
    }
  }
}

/** When it resolves, the target has everything that the backup needs, also if it had the manifest before (`exists`). */
async function copyStreams(
  {from, writer, collection, signal, progress}: CopyJob,
  {body, streams}: Backup,
  items: Items,
): Promise<'written' | 'exists'> {
  await writer.copyFrom(from, streams, {
    signal,
    progress: (bytesDone, bytesTotal) => progress({...items, bytesDone, bytesTotal}),
  });
  signal.throwIfAborted();
  return writer.commit(manifestKey(collection, body.backup), toManifest(body, streams));
}

const sizeOf = (streams: readonly Recipe[]) => streams.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);

function requireSame(to: VaultReader, existing: Backup, original: Backup): void {
  if (JSON.stringify(existing.body) === JSON.stringify(original.body)) return;
  const {collection, backup} = original.body;
  throw new BkpError('COLLECTION_EXISTS', `${to.location} has another backup ${collection.name}/${backup}`, {
    cause: 'two machines took a backup of the collection in the same second, into two stores',
    next: 'copy that one to another store',
  });
}
