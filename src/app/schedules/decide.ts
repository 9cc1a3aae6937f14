import {type BackupPlan, type BackupType, nextTimes} from '../../collections/index.ts';

/** All that decides whether a backup is due. Times are milliseconds since 1970. */
export type Situation = {
  plan: BackupPlan;
  /** When the collection was created; absent: unknown. */
  createdAtMs?: number;
  newestMs?: number;
  chainMs?: number;
  /** When backups were recently attempted, successful or not; in any order. */
  attemptsMs?: readonly number[];
  /** The last attempt found that the chain cannot be continued. */
  isChainBroken?: boolean;
};

export type Decision =
  /** `dueMs`: the scheduled time; later scheduled times that have also passed are made up for by the same backup. */
  | {take: BackupType; dueMs: number; isFirst?: true}
  /** `nextMs` absent: never. */
  | {take: 'nothing'; nextMs?: number};

/**
 * A backup is due when a scheduled time has passed since the last backup or attempt. So any number of missed
 * runs is made up for once, and a failed one is retried at the next scheduled time. Without a known creation
 * time the first backup is due immediately: nothing records which scheduled times have passed since the
 * schedule was set.
 *
 * The backup is full if increments are off or have no chain to continue, and if a time of SCHEDULE_FULL has
 * passed since the chain began: so a full backup that was missed or failed is taken at the next time of either
 * line.
 */
export function decide(situation: Situation, nowMs: number): Decision {
  const {plan, chainMs} = situation;
  const sinceMs = lastKnown(situation, nowMs);
  // A creation time in the future was recorded with a wrong clock: nothing is known then, either.
  if (sinceMs === undefined)
    return {take: 'full', dueMs: nowMs, ...(situation.createdAtMs === undefined ? {isFirst: true} : {})};
  const {any} = nextTimes(plan, sinceMs);
  if (any === undefined) return {take: 'nothing'};
  if (any > nowMs) return {take: 'nothing', nextMs: any};
  if (!plan.incremental || chainMs === undefined || situation.isChainBroken) return {take: 'full', dueMs: any};
  const {full} = nextTimes(plan, chainMs);
  // A chain that began in the future would keep its increments until then.
  const isFull = full !== undefined && (full <= nowMs || chainMs > nowMs);
  return {take: isFull ? 'full' : 'incremental', dueMs: any};
}

/** Ignores times in the future: they were recorded with a wrong clock, and waiting for them could take years. */
function lastKnown({createdAtMs, newestMs, attemptsMs = []}: Situation, nowMs: number): number | undefined {
  const times = [createdAtMs, newestMs, ...attemptsMs];
  const known = times.filter((time) => time !== undefined && time <= nowMs) as number[];
  return known.length > 0 ? Math.max(...known) : undefined;
}

export type Moment = {
  atMs: number;
  take: BackupType;
  /** It has already passed: the scheduler takes this backup as soon as it runs. */
  isMissed: boolean;
  /** No backup is known yet. */
  isFirst?: true;
};

/** The next `count` backups if every one succeeds, in order. */
export function upcoming(situation: Situation, nowMs: number, count: number): readonly Moment[] {
  const moments: Moment[] = [];
  let current = situation;
  let clockMs = nowMs;
  while (moments.length < count) {
    const decision = decide(current, clockMs);
    if (decision.take === 'nothing') {
      if (decision.nextMs === undefined) break;
      clockMs = decision.nextMs;
      continue;
    }
    const {take, dueMs, isFirst} = decision;
    moments.push({atMs: dueMs, take, isMissed: dueMs <= nowMs, ...(isFirst && {isFirst})});
    const {isChainBroken: _, ...before} = current;
    current = {...before, newestMs: clockMs, ...(take === 'full' ? {chainMs: clockMs} : {})};
  }
  return moments;
}
