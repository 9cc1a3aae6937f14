import type {WorkTools} from '../../backups/index.ts';
import type {BkpError} from '../../errors/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Storage} from '../stored/definition.ts';
import {readFolder, requireCollection} from '../stored/folder.ts';
import type {BackupName} from '../stored/names.ts';
import {isOfOneBackup, notAllCopied} from './failures.ts';
import {type CopyJob, type CopyReport, copyOne, mendOne, reportOthers} from './one-backup.ts';
import {copyDefinition, requireSameCollection} from './target.ts';

export type CopyRequest = {
  collection: string;
  /** Absent: every backup. */
  backup?: BackupName | undefined;
  /** The storage that the copied definition names. */
  storage: Storage;
  operation: string;
};

/**
 * Copies the collection's definition and then its backups, oldest first, each completely before the next
 * begins. After an interruption the backups that were copied exist, and the next copy continues behind them. If
 * the target has a backup but lost parts of it, those are copied again. A backup that cannot be copied does not
 * stop the others.
 * @throws BkpError `DAMAGE_FOUND`, when all others are copied, with one detail for each backup that the target
 *   does not have complete
 */
export async function copyCollection(
  tools: WorkTools & {from: Vault; to: Vault},
  request: CopyRequest,
): Promise<CopyReport> {
  const {from, to, signal} = tools;
  const {collection} = request;
  const lease = {purpose: `operation ${request.operation}`, subject: `collection ${collection}`};
  const writer = await to.writer(lease, {signal});
  try {
    const live = await requireCollection(from, collection);
    const folder = await readFolder(to, collection);
    await requireSameCollection(live.definition, folder, to);
    await copyDefinition(to, writer, live.definition, folder, request.storage);
    const wanted = request.backup === undefined ? live.backups : [request.backup];
    const report: CopyReport = {backups: 0, mended: 0, logicalBytes: 0, storedBytes: 0};
    const failures = new Map<BackupName, BkpError>();
    const existing = new Set(folder.backups);
    const job: CopyJob = {...tools, writer, collection, report, survey: await to.survey()};
    for (const [at, name] of wanted.entries()) {
      signal.throwIfAborted();
      const items = {phase: 'TransferData', itemsDone: at, itemsTotal: wanted.length};
      try {
        await (existing.has(name) ? mendOne(job, name, items) : copyOne(job, name, items));
      } catch (error) {
        if (!isOfOneBackup(error) || request.backup !== undefined) throw error;
        failures.set(name, error);
      }
    }
    if (request.backup === undefined) {
      const others = folder.backups.filter((name) => !wanted.includes(name));
      await reportOthers(job, others);
    }
    if (failures.size > 0) throw notAllCopied(job, failures, wanted.length);
    report.storedBytes = writer.stats.storedBytes;
    return report;
  } finally {
    await writer.close();
  }
}
