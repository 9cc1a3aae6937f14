import {expect, test} from 'vitest';
import {formatBytes, formatCount, formatDuration, formatPercent, formatRate} from '../../src/lib/figures.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [102_300, '99.9 KiB'],
  [102_400, '100 KiB'],
  [1_048_575, '1.0 MiB'],
  [1_073_741_824, '1.0 GiB'],
  [2 ** 60, '1024 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0.4, '0 s'],
  [59.4, '59 s'],
  [59.6, '1 min 00 s'],
  [125, '2 min 05 s'],
  [3600, '1 h 00 min'],
  [86_399, '23 h 59 min'],
  [183_600, '2 d 03 h'],
  [-1, '0 s'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('a percent is cut, not rounded: 100.00% means all of it', () => {
  expect([99.999, 100, 0.29, 12.345].map(formatPercent)).toEqual(['99.99%', '100.00%', '0.29%', '12.34%']);
});

test('formats rates and counts', () => {
  expect(formatRate(5_347_737)).toBe('5.1 MiB/s');
  expect([1, 999, 1000, 7_500_000].map((count) => formatCount(count))).toEqual(['1', '999', '1,000', '7,500,000']);
  expect([0, 1, 2].map((count) => formatCount(count, 'row'))).toEqual(['0 rows', '1 row', '2 rows']);
});
