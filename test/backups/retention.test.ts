import {expect, test} from 'vitest';
import {decideRetention, type RetentionCandidate} from '../../src/backups/index.ts';
import {openCalendar} from '../../src/schedule/index.ts';
import fc from '../seeds/fast-check.ts';

type Candidate = RetentionCandidate<number>;

const health = fc.constantFrom(undefined, 'sound', 'sound', 'damaged', 'unknown', 'of-damaged-source' as const);
const pinned = fc.option(fc.constant(true), {nil: undefined, freq: 9});
const reader = fc.option(fc.constant('restore/5'), {nil: undefined, freq: 9});
const backups = fc
  .array(fc.record({health, reader, pinned}), {maxLength: 12})
  .map((all) => all.map((one, at): Candidate => ({backup: all.length - at, takenMs: all.length - at, ...one})));
const keepLatest = fc.integer({min: 1, max: 4});
const unsound = fc.constantFrom('keep-all' as const, 'do-not-count' as const);

const isSound = ({health = 'sound'}: Candidate) => health === 'sound';

function holds(check: (backups: Candidate[], decide: (backups: Candidate[]) => Decisions, rule: Rule) => void) {
  fc.assert(
    fc.property(backups, keepLatest, unsound, (all, keepLatest, unsound) => {
      const decide = (candidates: Candidate[]) =>
        decideRetention(candidates, {rules: {last: keepLatest}, calendar, nowMs: 100, unsound});
      check(all, decide, {keepLatest, unsound});
    }),
    {numRuns: 500 * Number(process.env.BKP_TEST_RUNS ?? 1)},
  );
}

const calendar = openCalendar();

type Rule = {keepLatest: number; unsound: 'keep-all' | 'do-not-count'};
type Decisions = ReturnType<typeof decideRetention<number>>;

const going = (decisions: Decisions) => new Set(decisions.filter(({goes}) => goes).map(({backup}) => backup));

test('each backup gets one decision, in the given order', () => {
  holds((all, decide) => {
    expect(decide(all).map(({backup}) => backup)).toEqual(all.map(({backup}) => backup));
  });
});

test('the newest backup and the newest keepLatest sound ones stay', () => {
  holds((all, decide, {keepLatest}) => {
    const gone = going(decide(all));
    const sound = all.filter(isSound).slice(0, keepLatest);
    for (const {backup} of [...all.slice(0, 1), ...sound]) expect(gone.has(backup)).toBe(false);
  });
});

test('a backup goes only if keepLatest counted ones are newer', () => {
  holds((all, decide, {keepLatest}) => {
    const decisions = decide(all);
    for (const [at, {goes}] of decisions.entries()) {
      if (!goes) continue;
      expect(decisions.slice(0, at).filter(({reason}) => reason.kind === 'counted')).toHaveLength(keepLatest);
    }
  });
});

test('counted backups are sound', () => {
  holds((all, decide) => {
    for (const {backup, reason} of decide(all)) {
      if (reason.kind === 'counted') expect(isSound(all.find((one) => one.backup === backup)!)).toBe(true);
    }
  });
});

test('a backup of unknown health, one that is read, and one that is pinned never goes', () => {
  holds((all, decide) => {
    const gone = going(decide(all));
    for (const {backup, health, reader, pinned} of all) {
      if (health === 'unknown' || reader !== undefined || pinned) expect(gone.has(backup)).toBe(false);
    }
  });
});

test('under keep-all no backup goes while one of the newest keepLatest is not sound', () => {
  holds((all, decide, {keepLatest, unsound}) => {
    if (unsound === 'do-not-count' || all.slice(0, keepLatest).every(isSound)) return;
    expect(going(decide(all)).size).toBe(0);
  });
});

test('without readers, pins and backups of unknown health, exactly what must stay stays', () => {
  holds((all, decide, {keepLatest, unsound}) => {
    const known = all.map(({backup, takenMs, health}) => ({
      backup,
      takenMs,
      health: health === 'unknown' ? ('damaged' as const) : health,
    }));
    if (unsound === 'keep-all') {
      const isBlocked = !known.slice(0, keepLatest).every(isSound);
      const gone = isBlocked ? [] : known.slice(keepLatest);
      expect([...going(decide(known))]).toEqual(gone.map(({backup}) => backup));
      return;
    }
    const oldest = known.filter(isSound)[keepLatest - 1];
    const gone = oldest === undefined ? [] : known.filter(({backup}) => backup < oldest.backup);
    expect([...going(decide(known))]).toEqual(gone.map(({backup}) => backup));
  });
});

test('a second plan, made when the first was carried out, removes nothing', () => {
  holds((all, decide) => {
    const gone = going(decide(all));
    expect(going(decide(all.filter(({backup}) => !gone.has(backup)))).size).toBe(0);
  });
});

test('a decision needs a rule: none of them means that every backup stays', () => {
  expect(() => decideRetention([], {rules: {}, calendar, nowMs: 0, unsound: 'keep-all'})).toThrow();
});
