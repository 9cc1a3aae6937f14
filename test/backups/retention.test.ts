import fc from 'fast-check';
import {expect, test} from 'vitest';
import {decideRetention, type RetentionCandidate} from '../../src/backups/index.ts';

type Candidate = RetentionCandidate<number>;

const health = fc.constantFrom(undefined, 'sound', 'sound', 'damaged', 'unknown', 'of-damaged-source' as const);
const reader = fc.option(fc.constant('restore/5'), {nil: undefined, freq: 9});
const backups = fc
  .array(fc.record({health, reader}), {maxLength: 12})
  .map((all) => all.map((one, at): Candidate => ({backup: all.length - at, ...one})));
const keepLatest = fc.integer({min: 1, max: 4});
const unsound = fc.constantFrom('keep-all' as const, 'do-not-count' as const);

const isSound = ({health = 'sound'}: Candidate) => health === 'sound';

function holds(check: (backups: Candidate[], decide: (backups: Candidate[]) => Decisions, rule: Rule) => void) {
  fc.assert(
    fc.property(backups, keepLatest, unsound, (all, keepLatest, unsound) => {
      const rule = {keepLatest, unsound};
      check(all, (candidates) => decideRetention(candidates, rule), rule);
    }),
    {numRuns: 500 * Number(process.env.BKP_TEST_RUNS ?? 1)},
  );
}

type Rule = Parameters<typeof decideRetention<number>>[1];
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

test('counted backups are sound, and their positions are 1, 2, …', () => {
  holds((all, decide, {unsound}) => {
    const counted = decide(all).flatMap(({backup, reason}) => (reason.kind === 'counted' ? [{backup, reason}] : []));
    for (const {backup} of counted) expect(isSound(all.find((one) => one.backup === backup)!)).toBe(true);
    if (unsound === 'do-not-count') {
      expect(counted.map(({reason}) => reason.position)).toEqual(counted.map((_, at) => at + 1));
    }
  });
});

test('a backup of unknown health, and one that is read, never goes', () => {
  holds((all, decide) => {
    const gone = going(decide(all));
    for (const {backup, health, reader} of all) {
      if (health === 'unknown' || reader !== undefined) expect(gone.has(backup)).toBe(false);
    }
  });
});

test('under keep-all no backup goes while one of the newest keepLatest is not sound', () => {
  holds((all, decide, {keepLatest, unsound}) => {
    if (unsound === 'do-not-count' || all.slice(0, keepLatest).every(isSound)) return;
    expect(going(decide(all)).size).toBe(0);
  });
});

test('without readers and backups of unknown health, exactly what must stay stays', () => {
  holds((all, decide, {keepLatest, unsound}) => {
    const known = all.map(({backup, health}) => ({
      backup,
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

test('at least one backup must be kept', () => {
  for (const keepLatest of [0, -1, 1.5, Number.NaN]) {
    expect(() => decideRetention([], {keepLatest, unsound: 'keep-all'})).toThrow();
  }
});
