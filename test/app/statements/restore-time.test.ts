import {expect, test} from 'vitest';
import type {Deps} from '../../../src/app/deps.ts';
import {estimateRestore} from '../../../src/app/statements/restore-time.ts';
import type {Operation, OperationOutcome} from '../../../src/ops/index.ts';

/** A journal with restores of so many bytes in so many seconds, the newest first. */
function depsWith(
  ...restores: readonly (readonly [bytes: number, seconds: number, status?: OperationOutcome['status']])[]
) {
  const operations = restores.map(([logicalBytes, seconds, status = 'SUCCESS']) => ({
    state: {name: 'done', startedAtMicros: 0, endedAtMicros: seconds * 1e6, outcome: {status, result: {logicalBytes}}},
  })) as unknown as Operation[];
  return {journal: async () => ({list: async () => ({operations, nextPage: 0})})} as unknown as Deps;
}

test('without a restore that succeeded, the time is unknown', async () => {
  expect(await estimateRestore(depsWith(), 1000)).toBeUndefined();
  expect(await estimateRestore(depsWith([1000, 60, 'ERROR'], [1000, 5, 'CANCELLED']), 1000)).toBeUndefined();
});

test('the time is the median of what the last five took for a byte, and not less than a start takes', async () => {
  expect(await estimateRestore(depsWith([1000, 11]), 1000)).toEqual({seconds: 11, restores: 1});
  expect(await estimateRestore(depsWith([1000, 11]), 3000)).toEqual({seconds: 31, restores: 1});
  expect(await estimateRestore(depsWith([1000, 0.2]), 3000)).toEqual({seconds: 1, restores: 1});
  const six = depsWith([10, 3], [10, 2], [10, 600], [10, 4], [10, 5], [10, 900]);
  expect(await estimateRestore(six, 10)).toEqual({seconds: 4, restores: 5});
});
