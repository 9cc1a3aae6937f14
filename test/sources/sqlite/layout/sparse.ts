import {closeSync, ftruncateSync, openSync, readSync, writeSync} from 'node:fs';
import {PageGaps} from '../../../../src/sources/sqlite/layout/page-gaps.ts';

/**
 * Makes a small database end at page `last` without writing the pages between: all of them are free.
 * https://www.sqlite.org/fileformat2.html#the_freelist
 */
export function extendTo(path: string, last: number): void {
  const file = openSync(path, 'r+');
  try {
    const header = Buffer.alloc(100);
    readSync(file, header, 0, 100, 0);
    const pageSize = header.readUInt16BE(16) === 1 ? 65536 : header.readUInt16BE(16);
    const usableBytes = pageSize - header[20]!;
    const hasMaps = header.readUInt32BE(52) > 0;
    const gaps = new PageGaps({pageSize, usableBytes, hasMaps});
    const free: number[] = [];
    for (let page = header.readUInt32BE(28) + 1; page <= last; page++) if (gaps.next(page) !== page) free.push(page);
    // A trunk names free pages. The last few entries stay unused, as in SQLite.
    const perTrunk = usableBytes / 4 - 8;
    const trunks = Math.ceil(free.length / (perTrunk + 1));
    for (let i = 0; i < trunks; i++) {
      const leaves = free.slice(trunks + i * perTrunk, trunks + (i + 1) * perTrunk);
      const trunk = Buffer.alloc(8 + 4 * leaves.length);
      trunk.writeUInt32BE(i + 1 < trunks ? free[i + 1]! : 0, 0);
      trunk.writeUInt32BE(leaves.length, 4);
      for (const [at, page] of leaves.entries()) trunk.writeUInt32BE(page, 8 + 4 * at);
      writeSync(file, trunk, 0, trunk.length, (free[i]! - 1) * pageSize);
    }
    if (hasMaps) markFree(file, free, gaps, pageSize);
    header.writeUInt32BE(last, 28);
    header.writeUInt32BE(free[0]!, 32);
    header.writeUInt32BE(free.length, 36);
    writeSync(file, header, 0, 100, 0);
    ftruncateSync(file, last * pageSize);
  } finally {
    closeSync(file);
  }
}

/** Type 2 in pointer maps. */
function markFree(file: number, free: readonly number[], gaps: PageGaps, pageSize: number): void {
  for (const [map, pages] of Map.groupBy(free, (page) => gaps.mapOf(page))) {
    const first = pages[0]!;
    const entries = Buffer.alloc(5 * (pages.at(-1)! - first + 1));
    for (const page of pages) entries[5 * (page - first)] = 2;
    writeSync(file, entries, 0, entries.length, (map - 1) * pageSize + 5 * (first - map - 1));
  }
}
