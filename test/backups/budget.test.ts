import {expect, test} from 'vitest';
import {parseBudget} from '../../src/backups/index.ts';

test.each([
  ['10 GiB', {bytes: 10 * 2 ** 30}],
  ['500MB', {bytes: 500e6}],
  ['1.5 tib', {bytes: 1.5 * 2 ** 40}],
  ['15 min', {ms: 900_000}],
  ['2 hours', {ms: 7_200_000}],
  ['1 h', {ms: 3_600_000}],
  ['90s', {ms: 90_000}],
])('a budget of %s', (text, budget) => {
  expect(parseBudget('BUDGET', text)).toEqual(budget);
});

test.each(['', '10', 'GiB', '1 MiB', '0 min', '-1 GiB', '10 GiBs', '5 days', '10 GiB 5 min'])(
  'a budget of "%s" is refused, with one that is not',
  (text) => {
    expect(() => parseBudget('BUDGET', text)).toThrow(
      expect.objectContaining({code: 'BAD_REQUEST', next: expect.stringContaining('BUDGET=')}),
    );
  },
);
