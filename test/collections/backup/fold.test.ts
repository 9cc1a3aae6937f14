import {describe, expect, test} from 'vitest';
import {type FoldLimits, foldLimits, planFold} from '../../../src/collections/backup/fold.ts';
import type {Delta, Layer} from '../../../src/collections/stored/layers.ts';
import type {BackupName} from '../../../src/collections/stored/names.ts';

const backup = '20260101000000Z_full' as BackupName;
const base = (rows: number): Layer => ({kind: 'base', backup, rows, data: {stream: 0, segments: 1}, cuts: 1});
const delta = (keys: number): Delta => {
  const data = {stream: 0, segments: 1};
  return {kind: 'delta', backup, keys, rows: keys, keyData: data, rowData: data};
};

/** Keys of a table's deltas after many increments; `distinct`: how many keys those can name at most. */
function afterMany(increments: number, logged: number, {rows, distinct}: {rows: number; distinct: number}) {
  let layers: readonly Layer[] = [base(rows)];
  let written = 0;
  let bases = 0;
  let most = 0;
  for (let n = 0; n < increments; n++) {
    const plan = planFold(layers, logged);
    if (plan.rebase !== undefined) {
      layers = [base(rows)];
      bases++;
      continue;
    }
    const keys = plan.merged.reduce((sum, {keys}) => sum + keys, logged);
    written += Math.min(keys, distinct);
    layers = [...plan.kept, delta(Math.min(keys, distinct))];
    most = Math.max(most, layers.length - 1);
  }
  return {layers, written, bases, most};
}

const keysOf = (layers: readonly Layer[]) => layers.map((layer) => (layer.kind === 'delta' ? layer.keys : 0));

describe('deltas of a table', () => {
  test('grow by the logarithm of their number, and each key is written a few times', () => {
    const few = afterMany(1000, 2, {rows: 1e9, distinct: 1e9});
    const many = afterMany(100_000, 2, {rows: 1e9, distinct: 1e9});
    expect(few.most).toBeLessThanOrEqual(foldLimits.deltas + 1);
    expect(many.most).toBeLessThanOrEqual(foldLimits.deltas + 4);
    expect(many.written / 200_000).toBeLessThan(20);
  });

  test('that name the same keys again and again stay few', () => {
    const {layers, bases} = afterMany(10_000, 100, {rows: 1e6, distinct: 100});
    expect(bases).toBe(0);
    expect(keysOf(layers).reduce((sum, keys) => sum + keys)).toBeLessThan(100 * (foldLimits.deltas + 1));
  });

  test('are replaced by a new base when they name an eighth of the rows', () => {
    const {layers, bases} = afterMany(10_000, 100, {rows: 100_000, distinct: 100_000});
    expect(bases).toBeGreaterThan(10_000 / 300);
    expect(bases).toBeLessThan(10_000 / 100);
    expect(Math.max(...keysOf(layers))).toBeLessThan(30_000);
  });
});

const limits: FoldLimits = {deltas: 2, growth: 2, basePart: 0.5, leastKeys: 10};
const cases: [string, readonly number[], number, {merged: number} | {rebase: unknown}][] = [
  ['nothing changed', [5, 5, 5], 0, {merged: 0}],
  ['there are few deltas', [5], 5, {merged: 0}],
  ['the oldest delta is large', [20, 4, 1], 1, {merged: 2}],
  ['the newest delta is large', [9, 8, 30], 1, {merged: 0}],
  ['the new delta is the largest', [9, 8, 7], 100, {merged: 3}],
  ['the sum is too large', [40, 30, 39], 1, {merged: 3}],
  ['one delta names half of the rows', [51, 1], 1, {rebase: expect.stringMatching(/^51 of its rows/)}],
];
for (const [when, keys, logged, expected] of cases) {
  test(`if ${when}: ${JSON.stringify(expected)}`, () => {
    const layers = [base(100), ...keys.map(delta)];
    const plan = planFold(layers, logged, limits);
    if ('rebase' in expected) return expect(plan).toEqual(expected);
    expect(plan).toEqual({
      kept: layers.slice(0, layers.length - expected.merged),
      merged: layers.slice(layers.length - expected.merged),
    });
  });
}
