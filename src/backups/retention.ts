import {assert} from '../errors/index.ts';

/** What retention must know of a backup. `of-damaged-source`: it is complete, but its database was damaged. */
export type RetentionHealth = 'sound' | 'damaged' | 'unknown' | 'of-damaged-source';

export type RetentionCandidate<Name> = {
  backup: Name;
  /** Default `sound`: callers need not examine backups beyond the newest `keepLatest`. */
  health?: RetentionHealth | undefined;
  /** The operation that is reading the backup now. */
  reader?: string | undefined;
};

export type RetentionRule = {
  /** How many backups stay, 1 or more. */
  keepLatest: number;
  /**
   * What a backup that is not sound means among the newest.
   * `keep-all`: it counts, and as long as it is among the newest, no backup goes.
   * `do-not-count`: it stays, and so does one more of the older backups.
   */
  unsound: 'keep-all' | 'do-not-count';
};

export type RetentionReason<Name> =
  /** One of the newest `keepLatest`: number `position`, from 1. Older backups go because this one stays. */
  | {kind: 'counted'; position: number}
  | {kind: 'unsound'; health: Exclude<RetentionHealth, 'sound'>}
  /** Under `keep-all`: the newer backup `by` is not sound. */
  | {kind: 'blocked'; by: Name}
  | {kind: 'in-use'; reader: string}
  /** The only reason to go: `newer` complete backups are newer. */
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

/**
 * Decides which backups of one collection or database stay, and why. It counts backups, not chains: a manifest
 * names everything that its restore needs, so removing one backup never harms another.
 *
 * A damaged backup goes like any other once `keepLatest` newer ones count. One of unknown health always stays,
 * because nothing is known of what it needs.
 * @param newestFirst all backups of the collection or database
 */
export function decideRetention<Name>(
  newestFirst: readonly RetentionCandidate<Name>[],
  {keepLatest, unsound}: RetentionRule,
): readonly RetentionDecision<Name>[] {
  assert(Number.isSafeInteger(keepLatest) && keepLatest >= 1, 'at least one backup is kept');
  let newer = 0;
  let blocker: {by: Name} | undefined;
  const reasonFor = ({backup, health = 'sound', reader}: RetentionCandidate<Name>): RetentionReason<Name> => {
    if (newer < keepLatest) {
      if (health === 'sound') return {kind: 'counted', position: ++newer};
      if (unsound === 'keep-all') {
        newer++;
        blocker ??= {by: backup};
      }
      return {kind: 'unsound', health};
    }
    if (health === 'unknown') return {kind: 'unsound', health};
    if (blocker !== undefined) return {kind: 'blocked', ...blocker};
    if (reader !== undefined) return {kind: 'in-use', reader};
    const reason = {kind: 'outdated' as const, newer};
    if (health !== 'damaged') newer++;
    return reason;
  };
  return newestFirst.map((candidate) => {
    const reason = reasonFor(candidate);
    return {backup: candidate.backup, goes: reason.kind === 'outdated', reason};
  });
}

/** @param why puts a reason into words */
export function toVerdict<Name>(
  {backup, goes, reason}: RetentionDecision<Name>,
  why: (reason: RetentionReason<Name>) => string,
): RetentionVerdict<Name> {
  return {backup, goes, why: why(reason), counts: reason.kind === 'counted'};
}
