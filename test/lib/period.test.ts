import {expect, test} from 'vitest';
import {periodText, readPeriod} from '../../src/lib/period.ts';
import fc from '../seeds/fast-check.ts';

test.each([
  ['3 days', {years: 0, months: 0, days: 3, hours: 0}],
  ['1 year 6 months', {years: 1, months: 6, days: 0, hours: 0}],
  ['1 Year, 6 Months', {years: 1, months: 6, days: 0, hours: 0}],
  ['2 weeks 1 day 12 hours', {years: 0, months: 0, days: 15, hours: 12}],
  ['36hours', {years: 0, months: 0, days: 0, hours: 36}],
])('%j is a period', (text, period) => {
  expect(readPeriod(text)).toEqual(period);
});

test.each([
  '',
  '3',
  'days',
  '3 d',
  '-3 days',
  '0 days',
  '1.5 days',
  '3 days ',
  '3 days ago',
  '10000 years',
  '5 minutes',
])('%j is not a period', (text) => {
  expect(readPeriod(text)).toBeUndefined();
});

test('every period is read back from its text', () => {
  const part = fc.integer({min: 0, max: 9999});
  fc.assert(
    fc.property(fc.record({years: part, months: part, days: part, hours: part}), (period) => {
      const text = periodText(period);
      expect(readPeriod(text)).toEqual(text === '' ? undefined : period);
    }),
  );
});
