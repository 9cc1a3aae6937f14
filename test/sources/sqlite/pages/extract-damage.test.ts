import {closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {PageFault} from '../../../../src/sources/sqlite/pages/page-fault.ts';
import type {PageFiles} from '../../../../src/sources/sqlite/pages/page-files.ts';
import {noPageVisited} from '../../../../src/sources/sqlite/pages/visited-pages.ts';
import {seed} from '../../../seeds/seed.ts';
import {folder} from '../database.ts';
import {LocalExtractor} from './extract-all.ts';
import {decodeRecords} from './extract-records.ts';
import {Random} from './extract-tables.ts';
import {type KeyTree, keyRuns, mostRowid, openFiles, type RowidTree, readTree, rowidRuns} from './extract-trees.ts';

const pageBytes = 1024;

/** The trees of table `t` and of its index `i`, and their pages for changing. */
class Trees {
  readonly path = join(folder(), 'a.db');
  readonly files: PageFiles;
  readonly table: RowidTree;
  readonly index: KeyTree;

  constructor() {
    const db = new DatabaseSync(this.path);
    db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA synchronous = OFF`);
    db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE INDEX i ON t (a)');
    db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
             INSERT INTO t SELECT i * 2, 'value ' || i FROM n; DELETE FROM t WHERE id % 14 = 0`);
    // Two chains of three pages.
    db.exec(`INSERT INTO t VALUES (10000, hex(zeroblob(1600))), (10001, hex(zeroblob(1601)))`);
    const root = (name: string) =>
      Number(db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(name)!.rootpage);
    const opened = openFiles(this.path);
    onTestFinished(opened.close);
    this.files = opened.files;
    this.table = readTree(this.files, root('t')) as RowidTree;
    this.index = readTree(this.files, root('i')) as KeyTree;
    db.close();
  }

  page(page: number): Buffer {
    return readFileSync(this.path).subarray((page - 1) * pageBytes, page * pageBytes);
  }

  change(page: number, change: (bytes: Buffer) => void): void {
    const bytes = Buffer.from(this.page(page));
    change(bytes);
    const file = openSync(this.path, 'r+');
    writeSync(file, bytes, 0, pageBytes, (page - 1) * pageBytes);
    closeSync(file);
  }

  /** Both trees. */
  extract(): {table: Buffer; index: Buffer} {
    const extractor = new LocalExtractor({...this.files, visited: noPageVisited(this.files.pages)});
    const hash = {hashed: 'tail', mask: 63} as const;
    return {
      table: extractor.all(rowidRuns(this.table, [301n, mostRowid])),
      index: extractor.all(keyRuns(this.index, [2, this.index.leaves.length], hash)),
    };
  }
}

const pointer = (bytes: Buffer, cell: number, header = 8) => bytes.readUInt16BE(header + 2 * cell);
const setPointer = (bytes: Buffer, cell: number, to: number) => bytes.writeUInt16BE(to, 8 + 2 * cell);
const cells = (bytes: Buffer) => bytes.readUInt16BE(3);

/** Pages of a chain, from the last cell of a leaf. */
function chain(trees: Trees): number[] {
  const leaf = trees.page(trees.table.leaves.at(-1)!);
  const text = leaf.indexOf('000000', pointer(leaf, cells(leaf) - 1));
  let end = text;
  while (leaf[end] === 0x30) end++;
  const pages = [leaf.readUInt32BE(end)];
  for (let next = trees.page(pages[0]!).readUInt32BE(0); next !== 0; next = trees.page(next).readUInt32BE(0)) {
    pages.push(next);
  }
  return pages;
}

test('the undamaged trees are extracted', () => {
  const trees = new Trees();
  const {table, index} = trees.extract();
  expect(decodeRecords(table, 'rowid', 'UTF-8').length).toBe(302 - 42);
  expect(decodeRecords(index, 'key', 'UTF-8').length).toBe(302 - 42);
  expect(chain(trees).length).toBe(3);
});

type Damage = {what: string; change: (bytes: Buffer) => void; message: string};

/** The second leaf has free blocks. */
const leafDamage: Damage[] = [
  {what: 'a page of zeros', change: (bytes) => bytes.fill(0), message: 'is not a leaf of a table'},
  {what: 'another type', change: (bytes) => bytes.writeUInt8(10, 0), message: 'is not a leaf of a table'},
  {
    what: 'more cells than have room',
    change: (bytes) => bytes.writeUInt16BE(600, 3),
    message: 'has a header that contradicts its size',
  },
  {
    what: 'content that begins after the page',
    change: (bytes) => bytes.writeUInt16BE(0, 5),
    message: 'has a header that contradicts its size',
  },
  {
    what: 'content that begins among the pointers',
    change: (bytes) => bytes.writeUInt16BE(8 + 2 * cells(bytes) - 1, 5),
    message: 'has a header that contradicts its size',
  },
  {
    what: 'content that begins a byte later',
    change: (bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(5) - 1, 5),
    message: 'has cells and free blocks that do not add up to its size',
  },
  {
    what: 'a cell less',
    change: (bytes) => bytes.writeUInt16BE(cells(bytes) - 1, 3),
    message: 'has cells and free blocks that do not add up to its size',
  },
  {
    what: 'a free block before the content',
    change: (bytes) => bytes.writeUInt16BE(7, 1),
    message: 'has a damaged list of free blocks',
  },
  {
    what: 'a free block after the page',
    change: (bytes) => bytes.writeUInt16BE(0xfff0, 1),
    message: 'has a damaged list of free blocks',
  },
  {
    what: 'a free block that refers to itself',
    change: (bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(1), bytes.readUInt16BE(1)),
    message: 'has a damaged list of free blocks',
  },
  {
    what: 'a free block of 3 bytes',
    change: (bytes) => bytes.writeUInt16BE(3, bytes.readUInt16BE(1) + 2),
    message: 'has a damaged list of free blocks',
  },
  {
    what: 'a free block that continues after the page',
    change: (bytes) => bytes.writeUInt16BE(pageBytes, bytes.readUInt16BE(1) + 2),
    message: 'has a damaged list of free blocks',
  },
  {
    what: 'a free block less',
    change: (bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(bytes.readUInt16BE(1)), 1),
    message: 'has cells and free blocks that do not add up to its size',
  },
  {
    what: 'a larger free block',
    change: (bytes) => {
      const at = bytes.readUInt16BE(1);
      bytes.writeUInt16BE(bytes.readUInt16BE(at + 2) + 1, at + 2);
    },
    message: 'has cells that overlap',
  },
  {
    what: 'fragments that do not exist',
    change: (bytes) => bytes.writeUInt8(bytes[7]! + 1, 7),
    message: 'has cells and free blocks that do not add up to its size',
  },
  {
    what: 'a cell among the pointers',
    change: (bytes) => setPointer(bytes, 3, 10),
    message: 'has a pointer to a cell outside its content',
  },
  {
    what: 'a cell at the end of the page',
    change: (bytes) => setPointer(bytes, 3, pageBytes - 3),
    message: 'has a pointer to a cell outside its content',
  },
  {
    what: 'a cell that is longer than the page',
    change: (bytes) => bytes.writeUInt8(0x7f, pointer(bytes, 0)),
    message: 'has a cell that continues beyond its end',
  },
  {
    what: 'two pointers in the wrong order',
    change: (bytes) => {
      const [second, third] = [pointer(bytes, 1), pointer(bytes, 2)];
      setPointer(bytes, 1, third);
      setPointer(bytes, 2, second);
    },
    message: 'has rowids that do not ascend',
  },
  {
    what: 'a rowid of the leaf before',
    change: (bytes) => bytes.writeUInt8(1, pointer(bytes, 0) + 1),
    message: 'has a rowid that belongs to another page',
  },
  {
    what: 'a rowid of the leaf after',
    change: (bytes) => {
      const at = pointer(bytes, cells(bytes) - 1) + 1;
      bytes.writeUInt8(0xff, at);
    },
    message: 'has a rowid that belongs to another page',
  },
  {
    what: 'a header that is longer than its record',
    change: (bytes) => bytes.writeUInt8(0x7e, pointer(bytes, 2) + 3),
    message: 'has a record whose values do not add up to its size',
  },
  {
    what: 'a value that is longer than its record',
    change: (bytes) => bytes.writeUInt8(bytes[pointer(bytes, 2) + 5]! + 2, pointer(bytes, 2) + 5),
    message: 'has a record whose values do not add up to its size',
  },
  {
    what: 'a reserved type of value',
    change: (bytes) => bytes.writeUInt8(10, pointer(bytes, 2) + 4),
    message: 'has a record whose values do not add up to its size',
  },
];

test.each(leafDamage)('a leaf of a table with $what', ({change, message}) => {
  const trees = new Trees();
  const page = trees.table.leaves[1]!;
  // The tests rely on rowids of two bytes and on a free block.
  expect(trees.page(page).readUInt16BE(1)).toBeGreaterThan(0);
  trees.change(page, change);
  expect(() => trees.extract()).toThrow(new PageFault(page, message));
});

const keyDamage: Damage[] = [
  {
    what: 'another type',
    change: (bytes) => bytes.writeUInt8(13, 0),
    message: 'is not a leaf of an index or of a table without rowid',
  },
  {
    what: 'a payload of more bytes than the database',
    change: (bytes) => bytes.fill(0xff, pointer(bytes, 2), pointer(bytes, 2) + 8),
    message: 'has a record that is larger than the database',
  },
  {
    what: 'two pointers to one cell',
    change: (bytes) => setPointer(bytes, 1, pointer(bytes, 2)),
    message: 'has cells that overlap',
  },
  {
    what: 'a pointer into another cell',
    change: (bytes) => {
      // The text in that cell is the record of the number 65.
      const inside = pointer(bytes, 2) + 5;
      bytes.set([3, 2, 1, 65], inside);
      setPointer(bytes, 1, inside);
    },
    message: 'has cells that overlap',
  },
  {
    what: 'a header that contradicts its record',
    change: (bytes) => bytes.writeUInt8(2, pointer(bytes, 2) + 1),
    message: 'has a record whose values do not add up to its size',
  },
];

test.each(keyDamage)('a leaf of an index with $what', ({change, message}) => {
  const trees = new Trees();
  const page = trees.index.leaves[3]!;
  trees.change(page, change);
  expect(() => trees.extract()).toThrow(new PageFault(page, message));
});

const innerDamage: Damage[] = [
  {
    what: 'another type',
    change: (bytes) => bytes.writeUInt8(10, 0),
    message: 'is not an inner page of an index or of a table without rowid',
  },
  {
    what: 'fewer cells',
    change: (bytes) => bytes.writeUInt16BE(0, 3),
    message: 'has a header that contradicts its size',
  },
  {
    what: 'a pointer to the header',
    change: (bytes) => bytes.writeUInt16BE(4, 12),
    message: 'has a pointer to a cell outside its content',
  },
  {
    what: 'a record that is longer than the page',
    change: (bytes) => bytes.writeUInt8(0x7f, pointer(bytes, 0, 12) + 4),
    message: 'has a cell that continues beyond its end',
  },
  {
    what: 'a record whose type is changed',
    change: (bytes) => bytes.writeUInt8(11, pointer(bytes, 0, 12) + 6),
    message: 'has a record whose values do not add up to its size',
  },
];

test.each(innerDamage)('an inner page of an index with $what', ({change, message}) => {
  const trees = new Trees();
  const {page} = trees.index.separators[0]!;
  trees.change(page, change);
  expect(() => trees.extract()).toThrow(new PageFault(page, message));
});

test('an overflow chain that refers to a page outside the database', () => {
  const trees = new Trees();
  const [first] = chain(trees);
  trees.change(first!, (bytes) => bytes.writeUInt32BE(trees.files.pages + 1, 0));
  const message = `refers to page ${trees.files.pages + 1}, which does not exist`;
  expect(() => trees.extract()).toThrow(new PageFault(first!, message));
});

test('an overflow chain that ends too early', () => {
  const trees = new Trees();
  const [, second] = chain(trees);
  trees.change(second!, (bytes) => bytes.writeUInt32BE(0, 0));
  expect(() => trees.extract()).toThrow(new PageFault(second!, 'ends a record too early'));
});

test('an overflow chain that continues', () => {
  const trees = new Trees();
  const [first, , third] = chain(trees);
  trees.change(third!, (bytes) => bytes.writeUInt32BE(first!, 0));
  expect(() => trees.extract()).toThrow(new PageFault(third!, 'continues a record that ends there'));
});

test('an overflow page in two chains', () => {
  const trees = new Trees();
  const [first, second, third] = chain(trees);
  trees.change(first!, (bytes) => bytes.writeUInt32BE(third!, 0));
  trees.change(third!, (bytes) => bytes.writeUInt32BE(second!, 0));
  trees.change(second!, (bytes) => bytes.writeUInt32BE(first!, 0));
  // In another order the pages are read as well; the last one refers to the first.
  expect(() => trees.extract()).toThrow(new PageFault(second!, 'continues a record that ends there'));
  trees.change(third!, (bytes) => bytes.writeUInt32BE(first!, 0));
  expect(() => trees.extract()).toThrow(
    new PageFault(first!, `is referred to twice, the second time by page ${third}`),
  );
});

test('a file that ends before a page of the tree', () => {
  const trees = new Trees();
  truncateSync(trees.path, statSync(trees.path).size - pageBytes - 1);
  const missing = `page (${trees.files.pages - 1}|${trees.files.pages})`;
  expect(() => trees.extract()).toThrow(new RegExp(`^${missing} is missing: the file is too short$`));
});

/** BKP_TEST_RUNS multiplies the cases, BKP_TEST_SEED repeats them. */
const scale = Number(process.env.BKP_TEST_RUNS ?? 1);
const runs = 60 * scale;

const title = `changed bytes are a fault, or no record is missing and the rows are SQLite's own (seed ${seed})`;
test(title, {timeout: 120_000 * scale}, () => {
  const random = new Random(seed);
  const trees = new Trees();
  const original = readFileSync(trees.path);
  const inner = trees.index.separators.map(({page}) => page);
  const pages = [...trees.table.leaves, ...chain(trees), ...trees.index.leaves, ...new Set(inner)];
  let found = 0;
  for (let run = 0; run < runs; run++) {
    const bytes = Buffer.from(original);
    const places: string[] = [];
    for (let n = random.below(3); n >= 0; n--) {
      // Headers, pointers and the lengths of cells are in few bytes: half of the changes are there.
      const page = pages[random.below(pages.length)]!;
      const at = (page - 1) * pageBytes + (random.chance(0.5) ? random.below(80) : random.below(pageBytes));
      bytes[at] = random.chance(0.5) ? bytes[at]! ^ (1 << random.below(8)) : random.below(256);
      places.push(`byte ${at} = ${bytes[at]}`);
    }
    writeFileSync(trees.path, bytes);
    const sqlite = selectAll(trees.path);
    let records: string[] | undefined;
    let indexed = 0;
    try {
      const {table, index} = trees.extract();
      records = decodeRecords(table, 'rowid', 'UTF-8').map(({rowid, values}) => text(rowid!, values[1] ?? null));
      indexed = decodeRecords(index, 'key', 'UTF-8').length;
    } catch (error) {
      expect(error, places.join()).toBeInstanceOf(PageFault);
      found++;
    }
    if (records !== undefined) expect({records, indexed}, places.join()).toEqual({records: sqlite, indexed: 302 - 42});
  }
  expect(found).toBeGreaterThan(runs / 4);
});

/** @returns undefined when SQLite finds the database damaged */
function selectAll(path: string): string[] | undefined {
  const db = new DatabaseSync(path);
  try {
    const select = db.prepare('SELECT id, a FROM t NOT INDEXED');
    select.setReadBigInts(true);
    return select.all().map(({id, a}) => text(id as bigint, a));
  } catch {
    return undefined;
  } finally {
    db.close();
  }
}

function text(rowid: bigint, value: unknown): string {
  return `${rowid} ${value instanceof Uint8Array ? Buffer.from(value).toString('hex') : `${typeof value} ${value}`}`;
}
