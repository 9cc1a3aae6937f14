import type {SQLInputValue} from 'node:sqlite';
import fc from '../../../seeds/fast-check.ts';
import {createDatabase, type FileOptions} from './target.ts';

/** Page sizes that SQLite knows. */
export const pageSizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

const tables = [
  '(id INTEGER PRIMARY KEY, a, b TEXT, c REAL)',
  '(id, a, b TEXT, c REAL)',
  '(id TEXT PRIMARY KEY, a, b TEXT, c REAL) WITHOUT ROWID',
  '(id TEXT UNIQUE, a UNIQUE, b TEXT COLLATE NOCASE, c INTEGER)',
  '(id INTEGER, a, b TEXT, c REAL, PRIMARY KEY (b, id DESC)) WITHOUT ROWID',
];
const indexes = ['', '(a)', '(b DESC, a)', '(c)', '(b COLLATE NOCASE)', '(length(b), a)', '(a) WHERE c > 50'];

/** How large values are, and how many of them. */
export type RandomTable = {
  columns: string;
  index: string;
  rows: number;
  /** Of the values, this part is up to six pages long. */
  long: number;
  rowids: 'next' | 'anywhere' | 'first and last';
  seed: number;
};

export const randomTable: fc.Arbitrary<RandomTable> = fc.record({
  columns: fc.constantFrom(...tables),
  index: fc.constantFrom(...indexes),
  rows: fc.constantFrom(0, 1, 2, 5, 40, 300, 2000),
  long: fc.constantFrom(0, 0, 0.02, 0.3),
  rowids: fc.constantFrom('next', 'anywhere', 'first and last'),
  seed: fc.integer({min: 1, max: 0x7fffffff}),
});

/** Of a table, about: large pages have few long values. */
const mostLongBytes = 4 * 1024 * 1024;

/** Creates and fills a database, and closes it. */
export function fillDatabase(path: string, options: FileOptions, content: readonly RandomTable[]): void {
  using database = createDatabase(path, options);
  for (const [i, table] of content.entries()) {
    database.exec(`CREATE TABLE t${i} ${table.columns}`);
    if (table.index !== '') database.exec(`CREATE INDEX t${i}_i ON t${i} ${table.index}`);
    database.exec('BEGIN');
    const insert = database.prepare(`INSERT OR IGNORE INTO t${i} (id, a, b, c) VALUES (?, ?, ?, ?)`);
    const random = generator(table.seed);
    const long = Math.min(table.long, mostLongBytes / (6 * options.pageSize * table.rows));
    const value = () => randomValue(random, long, options.pageSize);
    for (let row = 0; row < table.rows; row++) {
      const id = table.columns.startsWith('(id INTEGER') ? rowid(table, row, random) : `k${random(1e6)} ${row}`;
      insert.run(id, value(), String(value() ?? 'none'), random(100));
    }
    database.exec('COMMIT');
    // Records shorter than the table.
    if (random(3) === 0) database.exec(`ALTER TABLE t${i} ADD COLUMN z DEFAULT 'zz'`);
  }
}

function rowid({rowids, rows}: RandomTable, row: number, random: (below: number) => number): bigint {
  if (rowids === 'next') return BigInt(row);
  if (rowids === 'first and last' && row === 0) return -(2n ** 63n);
  if (rowids === 'first and last' && row === rows - 1) return 2n ** 63n - 1n;
  return BigInt.asIntN(64, BigInt(random(2 ** 32)) * 2n ** 32n + BigInt(random(2 ** 32)));
}

function randomValue(random: (below: number) => number, long: number, pageSize: number): SQLInputValue {
  if (random(1000) < long * 1000) {
    const length = random(6 * pageSize);
    return random(2) === 0 ? 'x'.repeat(length) : Buffer.alloc(length, random(256));
  }
  switch (random(7)) {
    case 0:
      return null;
    case 1:
      return BigInt(random(3));
    case 2:
      return BigInt(random(2 ** 32)) - 2n ** 31n;
    case 3:
      return BigInt.asIntN(64, BigInt(random(2 ** 32)) * 2n ** 32n + 5n);
    case 4:
      return random(2 ** 20) / 1024;
    case 5:
      return `text ${'abcdefghij'.repeat(random(4))}${random(1e6)}`;
    default:
      return Buffer.from(String(random(1e9)));
  }
}

/** Numbers in [0, below), the same ones for the same seed. */
export function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}
