import {
  decideRetention,
  freeSpace,
  hasRules,
  isInForce,
  type KeepRules,
  type KeepSettings,
  keepWords,
  matchWords,
  type Pin,
  pinUntil,
  type RetentionCandidate,
  type RetentionHealth,
  type RetentionReason,
  type RetentionVerdict,
  removeEndedPins,
  removeManifests,
  removeOrphanReports,
  rulesOf,
  toVerdict,
  type WorkTools,
  waitForCollector,
} from '../../backups/index.ts';
import {assert, BkpError} from '../../errors/index.ts';
import {openCalendar} from '../../schedule/index.ts';
import type {Key} from '../../stores/index.ts';
import {isDamage, type Vault, type VaultCollector} from '../../vault/index.ts';
import {listInstances} from '../stored/instance.ts';
import {backupPrefix, type DatabaseBackupName, databaseManifestKey} from '../stored/names.ts';
import type {DatabaseBackupSummary} from '../views/list.ts';

export type DatabaseVerdict = RetentionVerdict<DatabaseBackupName> & {
  instance: string;
  /** Those that keep the backup, as `last` and `daily`, and `pin`. */
  rules: readonly string[];
  /** Of a manifest of the backup: its own, or its pin. */
  key: Key;
};

/** `zone`: of the days, weeks and months; absent: UTC. */
export type DatabaseKeep = KeepSettings & {keepLatest: number; zone?: string};

/**
 * What stays and what goes of one instance, with the reasons; newest first. A value, made before anything is
 * removed.
 */
export type DatabaseRetentionPlan = {verdicts: readonly DatabaseVerdict[]};

export type RetentionReport = {removed: number; freedBytes: number};

/**
 * The sound backups that the rules keep stay. A damaged one is not counted and stays until `keepLatest` sound ones are
 * newer; then it goes, because as long as it is stored, nothing is known of what it needs, and no space can
 * be freed. A backup of a database that was damaged itself is not counted either, so it does not push out one
 * from before the damage.
 * @param backups all of one instance, in any order
 */
export function planDatabaseRetention(
  backups: readonly DatabaseBackupSummary[],
  {zone, ...keep}: DatabaseKeep,
  nowMs: number,
): DatabaseRetentionPlan {
  const newestFirst = [...backups].sort((a, b) => (a.backup < b.backup ? 1 : -1));
  assert(new Set(newestFirst.map(({instance}) => instance)).size <= 1, 'a plan is about one instance');
  assert(keep.keepLatest >= 1, 'at least one backup is kept');
  const rules = rulesOf(keep);
  const rule = {rules, calendar: openCalendar(zone), nowMs, unsound: 'do-not-count' as const};
  const decisions = decideRetention(
    newestFirst.map((summary) => candidateOf(summary, nowMs)),
    rule,
  );
  const verdicts = newestFirst.map(({instance, body, pin}, at) => {
    const {reason} = decisions[at]!;
    const inForce = pin !== undefined && isInForce(pin, nowMs) ? pin : undefined;
    const isReadable = body !== undefined;
    return {
      instance,
      key: pin?.key ?? databaseManifestKey(instance, decisions[at]!.backup),
      rules: [
        ...(reason.kind === 'counted' ? keepWords(reason.matches) : []),
        ...(inForce === undefined ? [] : ['pin']),
      ],
      ...toVerdict(decisions[at]!, (reason) => inWords(reason, {rules, isReadable, pin: inForce})),
    };
  });
  return {verdicts};
}

function candidateOf(summary: DatabaseBackupSummary, nowMs: number): RetentionCandidate<DatabaseBackupName> {
  const {backup, body, timestampMicros, pin, verifiedMs} = summary;
  // The name may be later than the time at which the backup was taken, if it had to follow another one.
  const takenMs = Math.min(timestampMicros, body?.takenAtMicros ?? timestampMicros) / 1000;
  return {
    backup,
    takenMs,
    verified: verifiedMs !== undefined,
    health: healthOf(summary),
    pinned: pin !== undefined && isInForce(pin, nowMs),
  };
}

function healthOf({state, body}: DatabaseBackupSummary): RetentionHealth {
  if (state === 'damaged') return 'damaged';
  if (state !== 'sound') return 'unknown';
  return body?.sourceDamage === undefined ? 'sound' : 'of-damaged-source';
}

function inWords(
  reason: RetentionReason<DatabaseBackupName>,
  {rules: {last, ...others}, isReadable, pin}: {rules: KeepRules; isReadable: boolean; pin: Pin | undefined},
): string {
  switch (reason.kind) {
    case 'counted': {
      const [match] = reason.matches;
      const isOnlyLast =
        !hasRules(others) && others.verified === undefined && match !== undefined && match.rule !== 'within';
      const why = isOnlyLast ? `number ${match.position} of the ${last} newest` : matchWords(reason.matches);
      return pin === undefined ? why : `${why}; ${pinUntil(pin)}`;
    }
    case 'unsound':
      if (reason.health === 'of-damaged-source')
        return 'the database was damaged when the backup was taken: it is not counted';
      return `${isReadable ? 'it is damaged, see VERIFY DATABASE' : 'its manifest cannot be read'}: it is not counted`;
    case 'outdated': {
      const newer = `${reason.newer} complete ${reason.newer === 1 ? 'backup is' : 'backups are'} newer`;
      return hasRules(others) || others.verified !== undefined ? `no rule keeps it; ${newer}` : newer;
    }
    case 'pinned':
      return pinUntil(pin!);
    case 'blocked':
      return `${reason.by}, which is newer, is damaged`;
    case 'in-use':
      return `${reason.reader} reads it`;
  }
}

/**
 * Removes the backups that a plan removes, then the data that no manifest needs any more. Call it after a
 * successful backup, never after a failed one. It waits for running backups to end. After a crash at any point,
 * a second call has the same result.
 * @throws BkpError `PRECONDITION` if a backup that the plan keeps no longer exists, `OBJECT_DAMAGED` if a
 *   counted one is damaged; nothing is removed then
 */
export async function applyRetention(
  tools: WorkTools & {vault: Vault},
  {verdicts}: DatabaseRetentionPlan,
  operation: string,
): Promise<RetentionReport> {
  const toRemove = verdicts.filter(({goes}) => goes).map(keyOf);
  if (toRemove.length === 0) return {removed: 0, freedBytes: 0};
  const {vault, signal} = tools;
  const collector = await waitForCollector(tools, operation);
  try {
    await requireKept(vault, verdicts, tools.nowMicros() / 1000);
    await requireCounted(collector, verdicts, signal);
    const staying = await removeManifests(tools, collector, toRemove);
    for (const instance of await listInstances(vault))
      await removeEndedPins(collector, instance, tools.nowMicros() / 1000);
    await removeOrphanReports(vault, collector, backupPrefix);
    const removed = toRemove.length - staying.size;
    return {removed, freedBytes: await freeSpace(tools, collector, removed)};
  } finally {
    await collector.close();
  }
}

const keyOf = ({instance, backup}: DatabaseVerdict) => databaseManifestKey(instance, backup);

/** The plan may be stale: refuse it unless every backup that it keeps still exists, or it could remove the last one. */
async function requireKept(vault: Vault, verdicts: readonly DatabaseVerdict[], nowMs: number): Promise<void> {
  const existing = new Map((await listInstances(vault)).map((instance) => [instance.name, instance]));
  for (const {instance, backup, goes} of verdicts) {
    const pin = existing.get(instance)?.pins.get(backup);
    if (goes && pin !== undefined && isInForce(pin, nowMs)) {
      throw new BkpError('PRECONDITION', `nothing was removed: backup ${instance}/${backup} was pinned meanwhile`, {
        next: 'the cleanup after the next backup makes a new plan',
      });
    }
    if (goes || existing.get(instance)?.backups.includes(backup)) continue;
    throw new BkpError('PRECONDITION', `nothing was removed: backup ${instance}/${backup} no longer exists`, {
      cause: 'the plan keeps it, and removes older ones because it stays',
      next: 'make a new plan',
    });
  }
}

/** A counted backup that has lost data cannot replace older ones: those may be all that can still be restored. */
async function requireCounted(
  collector: VaultCollector,
  verdicts: readonly DatabaseVerdict[],
  signal: AbortSignal,
): Promise<void> {
  try {
    await collector.requireIntact(
      verdicts.filter(({counts}) => counts).map(({key}) => key),
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
