import {retainedNotice, type WorkTools, waitForCollector} from '../../backups/index.ts';
import {assert, BkpError} from '../../errors/index.ts';
import {isDamage, type Vault, type VaultCollector} from '../../vault/index.ts';
import {listInstances} from '../stored/instance.ts';
import {type DatabaseBackupName, databaseManifestKey} from '../stored/names.ts';
import type {DatabaseBackupSummary} from '../views/list.ts';

export type RetentionVerdict = {
  instance: string;
  backup: DatabaseBackupName;
  reason: string;
  /** One of the newest complete ones, for whose sake older ones go. */
  counts?: true;
};

/** What stays and what goes, with the reason; oldest first. A value, made before anything is removed. */
export type RetentionPlan = {keep: readonly RetentionVerdict[]; remove: readonly RetentionVerdict[]};

export type RetentionReport = {removed: number; freedBytes: number};

/**
 * Of each instance the newest `keepLatest` complete backups stay. A backup whose manifest cannot be read, or of which something is
 * known to be damaged or gone, counts for nothing. It stays until so many complete ones are newer: then it goes like any other,
 * because as long as it is there nobody may know what it needs, and no space is freed. One of a database that was damaged when it was taken is not counted either, so it
 * pushes out none that was taken while the database was sound.
 * @param backups all of an instance, in any order
 * @param rules.keepLatest 1 or more
 */
export function planRetention(
  backups: readonly DatabaseBackupSummary[],
  {keepLatest}: {keepLatest: number},
): RetentionPlan {
  assert(Number.isSafeInteger(keepLatest) && keepLatest >= 1, 'at least one backup is kept');
  const keep: RetentionVerdict[] = [];
  const remove: RetentionVerdict[] = [];
  const seen = new Map<string, number>();
  for (const {instance, backup, body, error, state} of [...backups].sort((a, b) => (a.backup < b.backup ? 1 : -1))) {
    const newer = seen.get(instance) ?? 0;
    if (error !== undefined && !(state === 'damaged' && newer >= keepLatest)) {
      const what = body === undefined ? 'its manifest cannot be read' : 'it is damaged, see VERIFY DATABASE';
      keep.push({instance, backup, reason: `${what}: it is not counted`});
      continue;
    }
    if (body?.sourceDamage !== undefined && newer < keepLatest) {
      keep.push({instance, backup, reason: 'the database was damaged when it was taken: it is not counted'});
      continue;
    }
    if (error === undefined) seen.set(instance, newer + 1);
    if (newer < keepLatest) {
      keep.push({instance, backup, reason: `number ${newer + 1} of the ${keepLatest} newest`, counts: true});
    } else {
      remove.push({instance, backup, reason: `${newer} complete ${newer === 1 ? 'backup is' : 'backups are'} newer`});
    }
  }
  return {keep: keep.reverse(), remove: remove.reverse()};
}

/**
 * Removes what a plan says, then what no manifest needs any more. To be called after a backup that succeeded, never after one that
 * failed. Waits for running backups to end; begun anew at any point after a crash, it ends the same.
 * @throws BkpError `PRECONDITION` when a backup that the plan keeps is not there any more, `OBJECT_DAMAGED` when one that it counts on is
 *   damaged: then nothing is removed
 */
export async function applyRetention(
  tools: WorkTools & {vault: Vault},
  plan: RetentionPlan,
  operation: string,
): Promise<RetentionReport> {
  if (plan.remove.length === 0) return {removed: 0, freedBytes: 0};
  const {vault, signal} = tools;
  const collector = await waitForCollector(tools, operation);
  try {
    await requireKept(vault, plan);
    await requireCounted(collector, plan, signal);
    tools.progress({phase: 'Removing backups', bytesDone: 0, itemsDone: 0, itemsTotal: plan.remove.length});
    const staying = await collector.remove(
      plan.remove.map(({instance, backup}) => databaseManifestKey(instance, backup)),
    );
    signal.throwIfAborted();
    const {freedBytes, retained} = await collector.execute(await collector.plan({signal}), {
      signal,
      progress: (itemsDone, itemsTotal) =>
        tools.progress({phase: 'Freeing space', bytesDone: 0, itemsDone, itemsTotal}),
    });
    if (retained !== undefined) tools.notice(retainedNotice(retained));
    return {removed: plan.remove.length - staying.length, freedBytes};
  } finally {
    await collector.close();
  }
}

/** The plan is as old as it is: what it counts on must still be there, or it would remove the last ones. */
async function requireKept(vault: Vault, plan: RetentionPlan): Promise<void> {
  const there = new Map((await listInstances(vault)).map(({name, backups}) => [name, backups]));
  for (const {instance, backup} of plan.keep) {
    if (there.get(instance)?.includes(backup)) continue;
    throw new BkpError('PRECONDITION', `nothing was removed: backup ${instance}/${backup} is not there any more`, {
      cause: 'the plan keeps it, and removes older ones for its sake',
      next: 'make a new plan',
    });
  }
}

/** A backup whose data is lost is none: the older ones may be all that is left to restore. */
async function requireCounted(collector: VaultCollector, plan: RetentionPlan, signal: AbortSignal): Promise<void> {
  const counted = plan.keep.filter(({counts}) => counts);
  try {
    await collector.requireIntact(
      counted.map(({instance, backup}) => databaseManifestKey(instance, backup)),
      {signal},
    );
  } catch (error) {
    if (!isDamage(error)) throw error;
    throw new BkpError('OBJECT_DAMAGED', 'no backup was removed: one of those that stay is damaged', {
      cause: error,
      next: 'VERIFY DATABASE names the damage; BACKUP DATABASE stores again what is missing',
    });
  }
}
