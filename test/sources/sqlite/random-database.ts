import {closeSync, openSync, writeSync} from 'node:fs';
import type {DatabaseSync} from 'node:sqlite';
import {DatabaseSync as Sqlite} from 'node:sqlite';
import type {Random} from '../../simulator/random.ts';

/** A database file with everything that decides how SQLite stores rows, at random. */
export type RandomDatabase = {db: DatabaseSync; tables: readonly string[]; note: string};

const kinds = [
  '(id INTEGER PRIMARY KEY, a, b TEXT, c REAL)',
  '(id INTEGER PRIMARY KEY AUTOINCREMENT, a, b TEXT UNIQUE, c REAL)',
  '(id, a, b TEXT, c REAL)',
  '(id TEXT PRIMARY KEY, a, b TEXT, c REAL) WITHOUT ROWID',
  '(id TEXT UNIQUE, a UNIQUE, b TEXT COLLATE NOCASE, c INTEGER)',
  '(id INTEGER, a, b TEXT, c REAL, PRIMARY KEY (b, id DESC)) WITHOUT ROWID',
  '(id INTEGER PRIMARY KEY, a, b TEXT, c REAL, g AS (a || b) STORED, v AS (length(b)))',
  '(id TEXT COLLATE RTRIM NOT NULL, a, b TEXT, c NUMERIC, PRIMARY KEY (id, b))',
] as const;

const indexes = ['(a)', '(b DESC, a)', '(c)', '(b COLLATE NOCASE)', '(length(b), a)', '(a) WHERE c > 50', '(c, id)'];

/** @param path of a file that does not exist */
export function makeRandomDatabase(path: string, random: Random): RandomDatabase {
  const pageSize = random.pick([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]);
  const encoding = random.pick(['UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be']);
  const vacuum = random.pick([0, 0, 1, 2]);
  const journal = random.pick(['wal', 'wal', 'delete']);
  const reserved = random.pick([0, 0, 0, 8, 32]);
  const exec = (sql: string) => {
    const db = new Sqlite(path);
    db.exec(sql);
    db.close();
  };
  exec(`PRAGMA encoding = '${encoding}'; PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = ${vacuum};
    PRAGMA user_version = 1`);
  if (reserved > 0) reserve(path, pageSize, reserved);
  const db = new Sqlite(path);
  // SQLite's own random() would not depend on the seed.
  db.function('dice', (sides) => random.below(Number(sides)));
  db.exec(`PRAGMA journal_mode = ${journal}; PRAGMA synchronous = OFF;
    PRAGMA wal_autocheckpoint = ${random.pick([0, 10, 1000])}`);
  const tables: string[] = [];
  for (let at = random.between(1, 3); at > 0; at--) tables.push(addTable(db, `t${at}`, pageSize, random));
  return {db, tables, note: `page ${pageSize} - ${reserved}, ${encoding}, auto_vacuum ${vacuum}, ${journal}`};
}

/** Sets the reserved bytes of each page, in an empty database: https://www.sqlite.org/fileformat2.html#resbyte */
function reserve(path: string, pageSize: number, bytes: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, Uint8Array.of(bytes), 0, 1, 20);
  // Where the cells of page 1 begin.
  const usable = pageSize - bytes;
  writeSync(file, Uint8Array.of(usable >> 8, usable & 255), 0, 2, 105);
  closeSync(file);
}

function addTable(db: DatabaseSync, name: string, pageSize: number, random: Random): string {
  db.exec(`CREATE TABLE ${name} ${random.pick(kinds)}`);
  if (random.chance(0.7)) db.exec(`CREATE INDEX ${name}_i ON ${name} ${random.pick(indexes)}`);
  if (random.chance(0.3)) db.exec(`CREATE INDEX ${name}_j ON ${name} ${random.pick(indexes)}`);
  addRows(db, name, random.pick([0, 1, 5, 300, 1500]), pageSize, random);
  if (random.chance(0.3)) db.exec(`ALTER TABLE ${name} ADD COLUMN z DEFAULT 'zz'`);
  if (random.chance(0.2)) db.exec(`ALTER TABLE ${name} ADD COLUMN y INTEGER NOT NULL DEFAULT 7`);
  return name;
}

/** Changes of every kind, VACUUM among them. */
export function changeRandomDatabase({db, tables}: RandomDatabase, random: Random): void {
  const {page_size: pageSize} = db.prepare('PRAGMA page_size').get() as {page_size: number};
  for (const name of tables) {
    const changes = [
      () => db.exec(`DELETE FROM ${name} WHERE dice(5) = 0`),
      () => db.exec(`UPDATE OR IGNORE ${name} SET b = b || 'longer now' WHERE dice(7) = 0`),
      () => db.exec(`UPDATE OR IGNORE ${name} SET a = c, c = 3 WHERE dice(40) = 0`),
      () => addRows(db, name, 50, pageSize, random),
      () => db.exec(`DELETE FROM ${name}`),
    ];
    for (let count = random.below(3); count > 0; count--) random.pick(changes.slice(0, random.chance(0.1) ? 5 : 4))();
  }
  if (random.chance(0.3)) db.exec('VACUUM');
}

function addRows(db: DatabaseSync, table: string, count: number, pageSize: number, random: Random): void {
  const insert = db.prepare(`INSERT OR IGNORE INTO ${table} (id, a, b, c) VALUES (?, ?, ?, ?)`);
  const wide = random.pick([0, 0, 0.02, 0.2]);
  const columns = db.prepare(`SELECT type FROM pragma_table_info(?) WHERE name = 'id'`).get(table) as {type: string};
  const ids = random.below(4);
  const offset = random.below(1_000_000);
  const idOf = (at: number) => {
    if (columns.type !== 'INTEGER') return `k${random.below(1e6)}${at}`;
    const some = BigInt(random.below(2 ** 31));
    return [
      BigInt(offset + at),
      some * random.pick([1n, -1n]),
      BigInt.asIntN(64, (some << 33n) + BigInt(at)),
      BigInt(at * 1000),
    ][ids]!;
  };
  db.exec('BEGIN');
  for (let at = 0; at < count; at++) {
    const long = random.chance(wide) ? random.below(pageSize * 6) : undefined;
    insert.run(idOf(at), someValue(random, long), String(someValue(random, undefined) ?? 'n'), random.below(100));
  }
  db.exec('COMMIT');
}

/** @param long the length of a text or of bytes that need overflow pages */
function someValue(random: Random, long: number | undefined): null | bigint | number | string | Uint8Array {
  if (long !== undefined) return random.chance(0.5) ? 'x'.repeat(long) : Buffer.alloc(long, random.below(256));
  const some = random.below(2 ** 31);
  return random.pick([
    null,
    BigInt(some % 3),
    BigInt(some) - 2n ** 30n,
    BigInt.asIntN(64, (BigInt(some) << 33n) + 5n),
    some / 1000,
    some % 100,
    `text ${'abcdefghij'.repeat(some % 4)}${some % 1e6}`,
    Buffer.from(String(some)),
  ]);
}
