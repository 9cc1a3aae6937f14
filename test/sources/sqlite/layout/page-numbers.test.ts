import {expect, test} from 'vitest';
import {PageGaps} from '../../../../src/sources/sqlite/layout/page-gaps.ts';
import {PageNumbers} from '../../../../src/sources/sqlite/layout/page-numbers.ts';
import {generator, pageSizes} from './random-database.ts';

/** `PTRMAP_ISPAGE` of SQLite's src/btree.c. */
function isMap(page: number, usableBytes: number, lockPage: number): boolean {
  const interval = Math.floor(usableBytes / 5) + 1;
  const map = Math.floor((page - 2) / interval) * interval + 2;
  return page === (map === lockPage ? map + 1 : map);
}

const cases = pageSizes.flatMap((pageSize) =>
  [0, 8, 32].flatMap((reserved) => [false, true].map((hasMaps) => ({pageSize, reserved, hasMaps}))),
);

test.each(cases)(
  'every page is taken once, and no gap ($pageSize bytes, $reserved reserved, maps: $hasMaps)',
  (file) => {
    const usableBytes = file.pageSize - file.reserved;
    const gaps = new PageGaps({pageSize: file.pageSize, usableBytes, hasMaps: file.hasMaps});
    const lockPage = 0x40000000 / file.pageSize + 1;
    const random = generator(file.pageSize + file.reserved);
    // At the beginning, and around the page that SQLite locks bytes of.
    for (const last of [1, lockPage - 700]) {
      const counter = new SharedArrayBuffer(4);
      new Uint32Array(counter)[0] = last;
      const numbers = new PageNumbers(counter, gaps);
      const taken: number[] = [];
      while (numbers.last < last + 1500) {
        const count = random(4) === 0 ? 1 : random(300);
        const pages = numbers.take(count);
        for (let i = 0; i < count; i++) taken.push(pages.at(i));
      }
      const wanted: number[] = [];
      for (let page = last + 1; page <= numbers.last; page++) {
        if (page !== lockPage && !(file.hasMaps && isMap(page, usableBytes, lockPage))) wanted.push(page);
      }
      expect(taken).toEqual(wanted);
    }
  },
);

test('a map that would be the page that SQLite locks bytes of is the page after it', () => {
  // With these sizes the case occurs: (lock page - 2) is a multiple of the interval.
  const found = pageSizes.flatMap((pageSize) => {
    const lockPage = 0x40000000 / pageSize + 1;
    return Array.from({length: 33}, (_, reserved) => pageSize - reserved)
      .filter((usableBytes) => usableBytes >= 480 && (lockPage - 2) % (Math.floor(usableBytes / 5) + 1) === 0)
      .map((usableBytes) => ({pageSize, usableBytes, lockPage}));
  });
  expect(found).not.toEqual([]);
  for (const {pageSize, usableBytes, lockPage} of found) {
    const gaps = new PageGaps({pageSize, usableBytes, hasMaps: true});
    expect(gaps.next(lockPage)).toBe(lockPage);
    expect(gaps.next(lockPage + 1)).toBe(lockPage + 1);
    expect(gaps.mapOf(lockPage + 2)).toBe(lockPage + 1);
  }
});
