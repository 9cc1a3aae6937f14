import {expect, test} from 'vitest';
import {runs} from '../../../src/vault/read/runs.ts';

/** Chunks of 10 bytes at these offsets. */
const at = (...offsets: number[]) => offsets.map((offset) => ({offset, storedBytes: 10}));
const cut = (offsets: number[], limits: {gapBytes: number; readBytes: number}) =>
  [...runs(at(...offsets), limits)].map((run) => run.map(({offset}) => offset));

test.each([
  ['no chunks', [], 0, 100, []],
  ['adjacent chunks', [0, 10, 20], 0, 100, [[0, 10, 20]]],
  ['a gap where none is allowed', [0, 11], 0, 100, [[0], [11]]],
  ['a gap of the allowed size', [0, 15], 5, 100, [[0, 15]]],
  ['a larger gap', [0, 16, 26], 5, 100, [[0], [16, 26]]],
  ['a run of the largest size', [0, 10, 20], 0, 30, [[0, 10, 20]]],
  ['a larger run', [0, 10, 20], 0, 29, [[0, 10], [20]]],
  ['a run whose gaps make it too large', [0, 15, 30], 5, 39, [[0, 15], [30]]],
  ['chunks that are larger than a run', [0, 10], 0, 5, [[0], [10]]],
  ['a first chunk far from the beginning of the pack', [500, 510], 0, 20, [[500, 510]]],
  ['chunks that overlap in a damaged table', [0, 5], 5, 100, [[0], [5]]],
])('%s: one request reads what the limits allow', (_, offsets, gapBytes, readBytes, expected) => {
  expect(cut(offsets, {gapBytes, readBytes})).toEqual(expected);
});
