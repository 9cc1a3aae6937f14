import {expect, test} from 'vitest';
import {InnerLevel} from '../../../../src/sources/sqlite/layout/inner-levels.ts';
import {varint} from './trees.ts';

const root = 2;

/** The inner pages over leaves 1000, 1001, …; the key after leaf i is a rowid, or a record whose value is i. */
function build(leaves: number, {isTable, keyBytes}: {isTable: boolean; keyBytes: number}): Map<number, Buffer> {
  const pages = new Map<number, Buffer>();
  let next = 10;
  const level = new InnerLevel(
    {pageSize: 512, usableBytes: 480},
    {isTable},
    {
      takePage: () => next++,
      writePage: (number, bytes) => {
        if (pages.has(number)) throw new Error(`page ${number} is written twice`);
        pages.set(number, Buffer.from(bytes));
      },
    },
  );
  for (let i = 0; i < leaves - 1; i++) level.add({page: 1000 + i, key: keyOf(i, isTable, keyBytes)});
  level.end(1000 + leaves - 1, root);
  return pages;
}

function keyOf(i: number, isTable: boolean, bytes: number): Buffer {
  const key = Buffer.alloc(isTable ? 2 : bytes);
  // Two bytes of a varint.
  if (isTable) key.writeUInt16BE(0x8000 | ((i >> 7) << 8) | (i & 0x7f));
  else {
    key[0] = bytes - 1;
    key.writeUInt16BE(i, 1);
  }
  return key;
}

/** Leaves and keys as a reader meets them. */
function* walk(pages: Map<number, Buffer>, number: number, isTable: boolean): Generator<string> {
  const page = pages.get(number);
  if (page === undefined) {
    yield `leaf ${number - 1000}`;
    return;
  }
  const cells = page.readUInt16BE(3);
  if (page[0] !== (isTable ? 5 : 2) || cells === 0) yield `page ${number} is not an inner page`;
  let used = 0;
  for (let i = 0; i < cells; i++) {
    const cell = page.readUInt16BE(12 + 2 * i);
    yield* walk(pages, page.readUInt32BE(cell), isTable);
    const [value, end] = varint(page, cell + 4);
    yield `key ${isTable ? value : page.readUInt16BE(end)}`;
    used += isTable ? end - cell : 4 + 1 + value;
  }
  const top = page.readUInt16BE(5);
  const unused = [page.subarray(12 + 2 * cells, top), page.subarray(480)];
  if (top !== 480 - used || unused.some((bytes) => bytes.some((byte) => byte !== 0))) yield `page ${number} has gaps`;
  yield* walk(pages, page.readUInt32BE(8), isTable);
}

const range = (from: number, to: number) => Array.from({length: to - from}, (_, i) => from + i);

test.each([
  // Pages of 59, 19 and 5 children.
  {isTable: true, keyBytes: 2, leaves: [...range(2, 130), ...range(59 * 59 - 3, 59 * 59 + 64)]},
  {isTable: false, keyBytes: 20, leaves: [...range(2, 80), ...range(19 * 19 - 3, 19 * 19 + 25)]},
  {isTable: false, keyBytes: 99, leaves: [...range(2, 140), ...range(622, 640)]},
])('however many leaves there are, each inner page has a cell ($isTable, $keyBytes bytes)', ({leaves, ...kind}) => {
  for (const count of leaves) {
    const wanted = range(0, 2 * count - 1).map((i) => (i % 2 === 0 ? `leaf ${i / 2}` : `key ${(i - 1) / 2}`));
    expect([...walk(build(count, kind), root, kind.isTable)].join('; ')).toBe(wanted.join('; '));
  }
});
