import type {Calendar} from '../../schedule/index.ts';
import {type CountingRule, countingRules, type KeepMatch, type KeepRules} from './rules.ts';

export type MatchOptions = {calendar: Calendar; nowMs: number; isVerified?: (at: number) => boolean};

/**
 * Which rules keep which backups, with the meaning that restic gives to these words
 * (https://restic.readthedocs.io/en/stable/060_forget.html):
 * - hours, days, weeks, months and years are those of the calendar; only those with a backup count; the newest backup
 *   of each is kept;
 * - as long as a rule has found fewer than it may keep, it also keeps the oldest backup of all, so that the history
 *   does not get shorter before the rule is satisfied;
 * - `within` goes back from the newest backup that is not in the future; backups in the future are kept.
 *
 * `verified` is not a rule of restic.
 * @param newestFirst when each backup was taken, in milliseconds since 1970, in the order in which they were taken. A
 *   time may be wrong, so that this is not the order of the times
 * @param options.isVerified by position
 * @returns for each backup the rules that keep it; empty: none does
 */
export function matchRules(
  newestFirst: readonly number[],
  rules: KeepRules,
  {calendar, nowMs, isVerified = () => false}: MatchOptions,
): readonly (readonly KeepMatch[])[] {
  const matches: KeepMatch[][] = newestFirst.map(() => []);
  for (const {rule, unit} of countingRules) {
    const limit = rules[rule];
    if (limit === undefined) continue;
    const spans = newestFirst.map((ms, at) => (unit === undefined ? String(at) : calendar.spanOf(unit, ms)));
    count(spans, {rule, limit}, matches);
  }
  const {within} = rules;
  if (within !== undefined) {
    const latestMs = newestFirst.find((ms) => ms <= nowMs);
    const sinceMs = latestMs === undefined ? Number.NEGATIVE_INFINITY : calendar.before(latestMs, within);
    for (const [at, ms] of newestFirst.entries()) if (ms > sinceMs) matches[at]!.push({rule: 'within', period: within});
  }
  const {verified: most = 0} = rules;
  let position = 0;
  for (let at = 0; at < newestFirst.length && position < most; at++) {
    if (isVerified(at)) matches[at]!.push({rule: 'verified', position: ++position, of: most, isOldest: false});
  }
  return matches;
}

function count(
  spans: readonly string[],
  {rule, limit}: {rule: CountingRule; limit: number},
  matches: readonly KeepMatch[][],
): void {
  let position = 0;
  // All of them: where a clock was wrong for a while, the times do not follow the order of the backups.
  const seen = new Set<string>();
  for (const [at, span] of spans.entries()) {
    const isNew = !seen.has(span);
    if (!isNew && at < spans.length - 1) continue;
    seen.add(span);
    matches[at]!.push({rule, position: ++position, of: limit, isOldest: !isNew});
    if (position === limit) return;
  }
}
