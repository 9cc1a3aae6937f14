import {type BackupPlan, type BackupType, nextTimes} from '../../collections/index.ts';

/** All that decides whether a backup is due. Times are milliseconds since 1970. */
export type Situation = {
  plan: BackupPlan;
  /** Since when there is something to back up; absent: for ever. */
  createdAtMs?: number;
  newestMs?: number;
  chainMs?: number;
  /** When backups were tried lately, whatever came of it; in any order. */
  attemptsMs?: readonly number[];
  /** The last try found that the chain cannot go on. */
  isChainBroken?: boolean;
};

export type Decision =
  /** `dueMs`: the moment that it is for; later ones that have passed too are made up with it. */
  | {take: BackupType; dueMs: number; isFirst?: true}
  /** `nextMs` absent: never again. */
  | {take: 'nothing'; nextMs?: number};

/**
 * A backup is due when a moment of the schedule has passed since the last one, or since the last try: what was missed, once or
 * ten times, is made up once, and what failed is tried again at the next moment. Of what was there for ever the first one is due
 * at once: nothing tells which moments have passed since its schedule was set.
 *
 * It is a full one where increments are off or have nothing to go on from, and when a moment of SCHEDULE_FULL has passed since the
 * chain began: so a full backup that was missed or failed is taken at the next moment of either line.
 */
export function decide(situation: Situation, nowMs: number): Decision {
  const {plan, chainMs} = situation;
  const sinceMs = lastKnown(situation, nowMs);
  if (sinceMs === undefined) return {take: 'full', dueMs: nowMs, isFirst: true};
  const {any} = nextTimes(plan, sinceMs);
  if (any === undefined) return {take: 'nothing'};
  if (any > nowMs) return {take: 'nothing', nextMs: any};
  if (!plan.incremental || chainMs === undefined || situation.isChainBroken) return {take: 'full', dueMs: any};
  const {full} = nextTimes(plan, chainMs);
  return {take: full !== undefined && full <= nowMs ? 'full' : 'incremental', dueMs: any};
}

/** A time to come was written when the clock was wrong: waiting for it could take years. */
function lastKnown({createdAtMs, newestMs, attemptsMs = []}: Situation, nowMs: number): number | undefined {
  const times = [createdAtMs, newestMs, ...attemptsMs];
  const known = times.filter((time) => time !== undefined && time <= nowMs) as number[];
  if (known.length > 0) return Math.max(...known);
  return createdAtMs === undefined ? undefined : nowMs;
}

export type Moment = {
  atMs: number;
  take: BackupType;
  /** It has passed already: the scheduler takes it as soon as it runs. */
  isMissed: boolean;
  /** No backup is known yet. */
  isFirst?: true;
};

/** What comes when every backup succeeds, the next first. */
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
