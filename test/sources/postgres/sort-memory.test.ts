import {expect, test} from 'vitest';
import {sortBytesOf} from '../../../src/sources/postgres/restore/build.ts';

const mib = 1024 * 1024;

test.each([
  ['an empty table', 0, 16 * mib],
  ['a table of a gibibyte', 1024 * mib, 16 * mib],
  ['a table that has 64 runs of more', 8192 * mib, 128 * mib],
  ['a table of a tebibyte', 1024 * 1024 * mib, 256 * mib],
])('the indexes of %s are sorted in memory that fits', (_, tableBytes, sortBytes) => {
  expect(sortBytesOf(tableBytes)).toBe(sortBytes);
});
