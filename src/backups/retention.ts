import {assert} from '../errors/index.ts';
import type {Calendar} from '../schedule/index.ts';
import {hasRules, type KeepMatch, type KeepRules, matchRules} from './keep/index.ts';

/** What retention must know of a backup. `of-damaged-source`: it is complete, but its database was damaged. */
export type RetentionHealth = 'sound' | 'damaged' | 'unknown' | 'of-damaged-source';

export type RetentionCandidate<Name> = {
  backup: Name;
  /** When it was taken, milliseconds since 1970. */
  takenMs: number;
  /** Default `sound`: under `keep-all`, callers need not examine backups that {@link keptByRules} leaves out. */
  health?: RetentionHealth | undefined;
  /** The operation that is reading the backup now. */
  reader?: string | undefined;
  /** Everything that it needs was read intact. Asked for only by the rule `verified`. */
  verified?: boolean | undefined;
  /** It is pinned. */
  pinned?: boolean | undefined;
};

export type RetentionRule = {
  /** At least one is set. */
  rules: KeepRules;
  calendar: Calendar;
  nowMs: number;
  /**
   * What a backup that is not sound means.
   * `keep-all`: the rules count it, and as long as they keep it, no backup goes.
   * `do-not-count`: the rules do not see it. It stays until as many sound ones are newer as the newest that the rules
   * keep, or one.
   */
  unsound: 'keep-all' | 'do-not-count';
};

export type RetentionReason<Name> =
  /** The rules keep it. Older backups go because this one stays. */
  | {kind: 'counted'; matches: readonly KeepMatch[]}
  | {kind: 'unsound'; health: Exclude<RetentionHealth, 'sound'>}
  | {kind: 'pinned'}
  /** Under `keep-all`: the backup `by`, which the rules keep, is not sound. */
  | {kind: 'blocked'; by: Name}
  | {kind: 'in-use'; reader: string}
  /** The only reason to go: no rule keeps it. `newer` complete backups are newer. */
  | {kind: 'outdated'; newer: number};

export type RetentionDecision<Name> = {backup: Name; goes: boolean; reason: RetentionReason<Name>};

/** A decision as users read it. */
export type RetentionVerdict<Name> = {
  backup: Name;
  goes: boolean;
  why: string;
  /** Older backups go because this one stays, so it must be intact when they do. */
  counts: boolean;
};

type Timed = {takenMs: number; verified?: boolean | undefined};

/** The backups that the rules would keep if all were sound. @param newestFirst all of the collection or database */
export function keptByRules<Candidate extends Timed>(
  newestFirst: readonly Candidate[],
  rule: RetentionRule,
): readonly Candidate[] {
  const matches = matchesOf(newestFirst, rule);
  return newestFirst.filter((_, at) => matches[at]!.length > 0);
}

/**
 * Decides which backups of one collection or database stay, and why. It counts backups, not chains: a manifest
 * names everything that its restore needs, so removing one backup never harms another.
 *
 * A damaged backup goes like any other once the rules do not keep it. One of unknown health always stays, because
 * nothing is known of what it needs.
 * @param newestFirst all backups of the collection or database
 */
export function decideRetention<Name>(
  newestFirst: readonly RetentionCandidate<Name>[],
  rule: RetentionRule,
): readonly RetentionDecision<Name>[] {
  const {rules, unsound} = rule;
  assert(hasRules(rules), 'without a rule every backup stays');
  const counting = newestFirst.filter((one) => unsound === 'keep-all' || isSound(one));
  const found = matchesOf(counting, rule);
  const matchesBy = new Map(counting.map((one, at) => [one, found[at]!]));
  const blocker = counting.find((one) => matchesBy.get(one)!.length > 0 && !isSound(one));
  let newerSound = 0;
  let newer = 0;
  const reasonFor = (candidate: RetentionCandidate<Name>): RetentionReason<Name> => {
    const {backup, health = 'sound', reader, pinned} = candidate;
    const matches = matchesBy.get(candidate) ?? [];
    const isKept =
      matches.length > 0 || (unsound === 'do-not-count' && health !== 'sound' && newerSound < (rules.last ?? 1));
    if (health !== 'sound' && (isKept || health === 'unknown')) return {kind: 'unsound', health};
    if (isKept) return {kind: 'counted', matches};
    if (pinned) return {kind: 'pinned'};
    if (blocker !== undefined && blocker.backup !== backup) return {kind: 'blocked', by: blocker.backup};
    return reader === undefined ? {kind: 'outdated', newer} : {kind: 'in-use', reader};
  };
  return newestFirst.map((candidate) => {
    const reason = reasonFor(candidate);
    if (isSound(candidate)) newerSound += 1;
    if (isSound(candidate) || candidate.health === 'of-damaged-source') newer += 1;
    return {backup: candidate.backup, goes: reason.kind === 'outdated', reason};
  });
}

const isSound = ({health = 'sound'}: RetentionCandidate<unknown>) => health === 'sound';
const matchesOf = (candidates: readonly Timed[], rule: RetentionRule) =>
  matchRules(
    candidates.map(({takenMs}) => takenMs),
    rule.rules,
    {...rule, isVerified: (at) => candidates[at]!.verified === true},
  );

/** @param why puts a reason into words */
export function toVerdict<Name>(
  {backup, goes, reason}: RetentionDecision<Name>,
  why: (reason: RetentionReason<Name>) => string,
): RetentionVerdict<Name> {
  return {backup, goes, why: why(reason), counts: reason.kind === 'counted'};
}
