import {closeSync, openSync, readSync, writeSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import fc from '../../../seeds/fast-check.ts';
import type {Encoding} from './extract-records.ts';

/** Random databases whose pages hold everything that a b-tree can hold. */

export type Shape = {
  pageBytes: number;
  reservedBytes: number;
  encoding: Encoding;
  autoVacuum: number;
  journal: 'wal' | 'delete';
  /** How often a value is as long as several pages. */
  longValues: number;
  rowids: 'ascending' | 'scattered' | 'extreme';
  rows: number;
  vacuum: boolean;
  seed: number;
};

export const shapeArbitrary: fc.Arbitrary<Shape> = fc.record({
  pageBytes: fc.constantFrom(512, 1024, 2048, 4096, 8192, 16384, 32768, 65536),
  reservedBytes: fc.constantFrom(0, 0, 4, 32),
  encoding: fc.constantFrom<Encoding>('UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'),
  autoVacuum: fc.constantFrom(0, 0, 1, 2),
  journal: fc.constantFrom('wal', 'delete'),
  longValues: fc.constantFrom(0, 0.02, 0.2),
  rowids: fc.constantFrom('ascending', 'scattered', 'extreme'),
  rows: fc.constantFrom(0, 1, 30, 400, 400, 1500),
  vacuum: fc.boolean(),
  seed: fc.nat(),
});

const tables = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT UNIQUE, c REAL, v AS (a || 'x'), s AS (length(b)) STORED);
  CREATE INDEX t_a ON t (a);
  CREATE INDEX t_b ON t (b COLLATE NOCASE DESC, c);
  CREATE INDEX t_c ON t (c) WHERE c > 50;
  CREATE INDEX t_s ON t (s, length(a));
  CREATE TABLE w (k TEXT, n INTEGER, a, c REAL, PRIMARY KEY (n DESC, k)) WITHOUT ROWID;
  CREATE INDEX w_a ON w (a)`;

/** What each tree of {@link makeDatabase} contains by SQLite's own account, in the order of the tree. */
export const contents: Readonly<Record<string, {sql: string; reals: readonly number[]}>> = {
  t: {sql: 'SELECT rowid, NULL, a, b, c, s, z, y FROM t ORDER BY rowid', reals: [3]},
  sqlite_autoindex_t_1: {sql: 'SELECT b, rowid FROM t ORDER BY b, rowid', reals: []},
  t_a: {sql: 'SELECT a, rowid FROM t ORDER BY a, rowid', reals: []},
  t_b: {sql: 'SELECT b, c, rowid FROM t ORDER BY b COLLATE NOCASE DESC, c, rowid', reals: [1]},
  t_c: {sql: 'SELECT c, rowid FROM t WHERE c > 50 ORDER BY c, rowid', reals: [0]},
  t_s: {sql: 'SELECT s, length(a), rowid FROM t ORDER BY s, length(a), rowid', reals: []},
  w: {sql: 'SELECT n, k, a, c FROM w ORDER BY n DESC, k', reals: [3]},
  w_a: {sql: 'SELECT a, n, k FROM w ORDER BY a, n DESC, k', reals: []},
};

/** Values of columns that were added after some records were written. */
export const addedColumns = {t: ['zz', 7n]};

/** The connection stays open, so that a log is not copied into the file. */
export function makeDatabase(path: string, shape: Shape): DatabaseSync {
  if (shape.reservedBytes > 0) reserve(path, shape);
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA page_size = ${shape.pageBytes}; PRAGMA encoding = '${shape.encoding}'`);
  db.exec(`PRAGMA auto_vacuum = ${shape.autoVacuum}; PRAGMA journal_mode = ${shape.journal}`);
  db.exec(`PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = ${shape.seed % 3 === 0 ? 5 : 1000}; ${tables}`);
  const random = new Random(shape.seed);
  insertRows(db, shape, random);
  db.exec('BEGIN; DELETE FROM t WHERE id * 7 % 5 = 0; DELETE FROM w WHERE n * 7 % 5 = 0');
  db.exec(`UPDATE OR IGNORE t SET b = b || ' and longer' WHERE id * 11 % 6 = 0; COMMIT`);
  if (shape.vacuum) db.exec('VACUUM');
  db.exec(`ALTER TABLE t ADD COLUMN z DEFAULT 'zz'; ALTER TABLE t ADD COLUMN y INTEGER NOT NULL DEFAULT 7`);
  insertRows(db, {...shape, rows: shape.rows >> 3}, random);
  return db;
}

/** A database that is still empty gets pages with reserved bytes. */
function reserve(path: string, {pageBytes, reservedBytes, encoding, autoVacuum}: Shape): void {
  const db = new DatabaseSync(path);
  db.exec(
    `PRAGMA page_size = ${pageBytes}; PRAGMA encoding = '${encoding}'; PRAGMA auto_vacuum = ${autoVacuum}; VACUUM`,
  );
  db.close();
  const file = openSync(path, 'r+');
  const content = Buffer.alloc(2);
  readSync(file, content, 0, 2, 105);
  // The content area of the empty root page begins at its end.
  content.writeUInt16BE((content.readUInt16BE() || 65536) - reservedBytes);
  writeSync(file, content, 0, 2, 105);
  writeSync(file, Buffer.from([reservedBytes]), 0, 1, 20);
  closeSync(file);
}

function insertRows(db: DatabaseSync, {rows, pageBytes, longValues, rowids}: Shape, random: Random): void {
  const value = () => randomValue(random, random.chance(longValues) ? pageBytes * 5 : 40);
  const text = () => 'ä€abcdefghij '.repeat(random.chance(longValues) ? pageBytes >> 2 : 1) + random.below(1e9);
  const inT = db.prepare('INSERT OR IGNORE INTO t (id, a, b, c) VALUES (?, ?, ?, ?)');
  const inW = db.prepare('INSERT OR IGNORE INTO w (n, k, a, c) VALUES (?, ?, ?, ?)');
  db.exec('BEGIN');
  for (let row = 0; row < rows; row++) {
    const id =
      rowids === 'ascending'
        ? null
        : rowids === 'scattered'
          ? BigInt(random.below(2 ** 40))
          : random.chance(0.02)
            ? (random.chance(0.5) ? 1n : -1n) * 2n ** 63n + (random.chance(0.5) ? 0n : 1n)
            : random.integer64();
    inT.run(id === 2n ** 63n || id === 2n ** 63n + 1n ? 2n ** 63n - 1n : id, value(), text(), random.below(100));
    inW.run(random.chance(0.1) ? random.integer64() : BigInt(row), text(), value(), random.below(100) / 2);
  }
  db.exec('COMMIT');
}

function randomValue(random: Random, bytes: number): null | bigint | number | string | Buffer {
  switch (random.below(8)) {
    case 0:
      return null;
    case 1:
      return BigInt(random.below(3));
    case 2:
      return random.integer64() >> BigInt(random.below(63));
    case 3:
      return random.next() * 1e9;
    case 4:
      return random.below(1000);
    case 5:
      return Buffer.alloc(random.below(bytes), random.below(256));
    default:
      return 'text'.repeat(random.below(bytes >> 2)) + random.below(1e6);
  }
}

/** A linear congruential generator: the same numbers for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 1. */
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  integer64(): bigint {
    return BigInt.asIntN(64, (BigInt(this.below(2 ** 32)) << 32n) | BigInt(this.below(2 ** 32)));
  }
}
