import {closeSync, openSync, writeSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import type {Random} from '../../simulator/random.ts';

// Databases as their files can be: every option that decides how SQLite stores a row or orders an index, in any
// combination. `random-database.ts` has a few fixed tables; here the tables are random too.

export type WildDatabase = {path: string; db: DatabaseSync; random: Random; pageBytes: number; note: string};

export function makeWildDatabase(path: string, random: Random): WildDatabase {
  const pageBytes = random.pick([512, 512, 1024, 2048, 4096, 4096, 8192, 16384, 32768, 65536]);
  const encoding = random.pick(['UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be']);
  const vacuum = random.pick([0, 0, 1, 2]);
  const reserved = random.pick([0, 0, 0, 0, 1, 8, 31]);
  const isLegacy = random.chance(0.12);
  const first = new DatabaseSync(path);
  first.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA encoding = '${encoding}'; PRAGMA auto_vacuum = ${vacuum};
    PRAGMA user_version = 1`);
  first.close();
  const usable = pageBytes - reserved;
  // Reserved bytes (https://www.sqlite.org/fileformat2.html#resbyte), and where the cells of page 1 begin.
  if (reserved > 0) patch(path, [20, reserved], [105, usable >> 8], [106, usable & 255]);
  if (isLegacy) {
    const old = new DatabaseSync(path);
    old.exec('CREATE TABLE first (a)');
    old.close();
    // https://www.sqlite.org/fileformat2.html#schema_format_number: in the first one, DESC has no effect on indexes.
    patch(path, [47, 1]);
  }
  const db = new DatabaseSync(path);
  db.function('dice', (sides) => random.below(Number(sides)));
  const journal = random.pick(['wal', 'wal', 'delete', 'truncate', 'persist']);
  db.exec(`PRAGMA synchronous = OFF; PRAGMA journal_mode = ${journal}; PRAGMA cache_size = ${random.pick([10, 2000])};
    PRAGMA wal_autocheckpoint = ${random.pick([0, 5, 1000])}`);
  const note =
    `page ${pageBytes} - ${reserved}, ${encoding}, auto_vacuum ${vacuum}, ${journal}` +
    (isLegacy ? ', schema format 1' : '');
  const wild = {path, db, random, pageBytes, note};
  for (let count = random.between(1, 3); count > 0; count--) addTable(wild);
  if (random.chance(0.15))
    db.exec(`CREATE VIRTUAL TABLE f USING fts5(a, b); INSERT INTO f VALUES ('one two', 'three')`);
  if (random.chance(0.15)) db.exec('CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 2, 3)');
  return wild;
}

/** Sets single bytes of a file that no connection has open. */
function patch(path: string, ...bytes: readonly [at: number, byte: number][]): void {
  const file = openSync(path, 'r+');
  for (const [at, byte] of bytes) writeSync(file, Uint8Array.of(byte), 0, 1, at);
  closeSync(file);
}

const types = ['', 'INTEGER', 'REAL', 'TEXT', 'BLOB', 'NUMERIC', 'INT', 'VARCHAR(10)', 'DOUBLE PRECISION', 'DATE'];
const strictTypes = ['INTEGER', 'INT', 'REAL', 'TEXT', 'BLOB', 'ANY'];
const collations = ['', '', '', ' COLLATE NOCASE', ' COLLATE RTRIM', ' COLLATE BINARY'];

let tables = 0;

function addTable({db, random, ...wild}: WildDatabase): void {
  const name = random.pick([`t${tables}`, `T ${tables}`, `"q""${tables}"`, `ü${tables}`, `[b ${tables}]`]);
  tables += 1;
  const quotedName = /^[["]/.test(name) ? name : `"${name}"`;
  const isStrict = random.chance(0.2);
  const count = random.chance(0.1) ? random.between(60, 300) : random.between(1, 8);
  const kind = random.pick(['none', 'none', 'integer', 'integer', 'auto', 'desc', 'text', 'two', 'without', 'without']);
  const type = () => random.pick(isStrict ? strictTypes : types);
  const columns = Array.from({length: count}, (_, at) => {
    const extra = random.pick(['', '', '', ` DEFAULT ${at}`, ` DEFAULT 'd'`, ' DEFAULT NULL', ' UNIQUE']);
    return `c${at} ${type()}${random.pick(collations)}${isStrict && extra.includes("'") ? '' : extra}`;
  });
  const integer = 'INTEGER PRIMARY KEY';
  if (kind === 'integer') columns.unshift(`id ${integer}`);
  if (kind === 'auto') columns.unshift(`id ${integer} AUTOINCREMENT`);
  if (kind === 'desc') columns.unshift(isStrict ? `id ${integer}` : 'id INTEGER PRIMARY KEY DESC');
  if (kind === 'text') columns.unshift(`id TEXT${random.pick(collations)} PRIMARY KEY`);
  const all = ['id', ...Array.from({length: count}, (_, at) => `c${at}`)].slice(0, 4);
  const ends: string[] = [];
  if (kind === 'two' || kind === 'without') {
    const sort = () => random.pick(['', '', ' DESC', ' COLLATE NOCASE', ' COLLATE RTRIM DESC']);
    const at = random.between(0, columns.length);
    columns.splice(at, 0, `id ${isStrict ? 'ANY' : random.pick(types)}${random.pick(collations)}`);
    const key = random.chance(0.5) ? `id${sort()}` : `c0${sort()}, id${sort()}`;
    ends.push(`PRIMARY KEY (${key})`);
  }
  if (random.chance(0.3)) {
    columns.splice(
      random.between(0, columns.length),
      0,
      `v ${isStrict ? 'ANY ' : ''}AS (${random.pick(all.slice(1))})`,
    );
  }
  if (random.chance(0.3)) columns.push(`s TEXT AS (c0 || 'x') STORED`);
  if (random.chance(0.2)) ends.push(`UNIQUE (c0${random.pick(['', ' DESC', ' COLLATE NOCASE'])}, ${columns.length})`);
  const options = [...(kind === 'without' ? ['WITHOUT ROWID'] : []), ...(isStrict ? ['STRICT'] : [])].join(', ');
  const ending = ends.filter((end) => !end.startsWith('UNIQUE'));
  const unique = random.chance(0.2) ? [`UNIQUE (c0${random.pick(['', ' DESC', ' COLLATE NOCASE'])})`] : [];
  const noKey = kind === 'none';
  db.exec(`CREATE TABLE ${quotedName} (${[...columns, ...ending, ...unique].join(', ')}) ${options}`);
  for (let index = random.below(4); index > 0; index--) addIndex({db, random}, quotedName, noKey ? all.slice(1) : all);
  addRows({db, random, ...wild} as WildDatabase, quotedName, random.pick([0, 2, 60, 600, 600, 2000]));
  if (random.chance(0.3)) {
    db.exec(
      `ALTER TABLE ${quotedName} ADD COLUMN z ${isStrict ? 'ANY' : ''} DEFAULT ${random.pick(['NULL', '7', `'zz'`])}`,
    );
  }
}

let indexes = 0;

function addIndex({db, random}: Pick<WildDatabase, 'db' | 'random'>, table: string, columns: readonly string[]): void {
  const term = () => {
    const column = random.pick(columns);
    const what = random.pick([column, column, column, `length(${column})`, `${column} || 'e'`, `typeof(${column})`]);
    return `${what}${random.pick(['', '', ' COLLATE NOCASE', ' COLLATE RTRIM'])}${random.pick(['', '', ' DESC'])}`;
  };
  const where = random.pick(['', '', '', ` WHERE ${random.pick(columns)} IS NOT NULL`, ` WHERE ${columns[0]} > 5`]);
  const terms = Array.from({length: random.between(1, 3)}, term).join(', ');
  db.exec(`CREATE INDEX i${indexes++} ON ${table} (${terms})${where}`);
}

/** Tables of the user, and those behind virtual tables. */
export function tablesOf({db}: Pick<WildDatabase, 'db'>): string[] {
  return db
    .prepare(
      `SELECT name FROM pragma_table_list
       WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE '\\_bkp%' ESCAPE '\\'`,
    )
    .all()
    .map(({name}) => String(name))
    .filter((name) => !name.startsWith('sqlite_'));
}

export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Lengths around those at which SQLite moves a payload, or one page more of it, to overflow pages. */
function longLength({random, pageBytes}: WildDatabase): number {
  const usable = pageBytes;
  const around = random.pick([
    usable - 35,
    Math.floor(((usable - 12) * 64) / 255) - 23,
    Math.floor(((usable - 12) * 32) / 255) - 23,
    usable,
    (usable - 4) * random.between(1, 4),
    (usable - 4) * random.between(5, 30),
  ]);
  return Math.min(Math.max(around + random.between(-40, 40), 0), 300_000);
}

type Value = null | bigint | number | string | Uint8Array;

function someValue(wild: WildDatabase): Value {
  const {random} = wild;
  const some = random.below(2 ** 31);
  if (random.chance(0.03)) {
    const length = longLength(wild);
    return random.chance(0.5) ? 'ä'.repeat(length >> 1) : Buffer.alloc(length, some & 255);
  }
  return random.pick<Value>([
    null,
    0n,
    1n,
    BigInt(random.between(-130, 130)),
    BigInt.asIntN(8 * random.between(1, 8), (BigInt(some) << 32n) | BigInt(random.below(2 ** 31))),
    9223372036854775807n,
    -9223372036854775808n,
    some / 1000,
    random.between(-3, 3),
    -0,
    Number.POSITIVE_INFINITY,
    1e-300,
    '',
    ' ',
    'a',
    'A ',
    `${some % 50}`,
    `text ${some % 300}`,
    'nul \0 and more',
    '😀é𐍈',
    Buffer.alloc(0),
    Buffer.of(some & 255, 0, 255),
  ]);
}

function addRows(wild: WildDatabase, table: string, count: number): void {
  const {db, random} = wild;
  const columns = db
    .prepare(`SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden = 0`)
    .all(table.replace(/^["[]|["\]]$/g, '').replaceAll('""', '"')) as {name: string; type: string; pk: number}[];
  const isRowid = columns.every(({pk}) => pk === 0);
  const names = [...columns.map(({name}) => quoted(name)), ...(isRowid ? ['rowid'] : [])];
  const insert = db.prepare(
    `INSERT OR ${random.pick(['IGNORE', 'IGNORE', 'REPLACE'])} INTO ${table} (${names.join(', ')})
     VALUES (${names.map(() => '?').join(', ')})`,
  );
  const ids = random.below(5);
  const offset = BigInt(random.below(1_000_000));
  const rowid = (at: number): bigint =>
    [
      () => offset + BigInt(at),
      () => BigInt(random.below(2 ** 31)) - 2n ** 30n,
      () => BigInt.asIntN(64, (BigInt(random.below(2 ** 31)) << 33n) + BigInt(at)),
      () => random.pick([1n, -1n]) * (2n ** 63n - 1n - BigInt(random.below(2000))),
      () => -offset - BigInt(at),
    ][ids]!();
  db.exec('BEGIN');
  try {
    for (let at = 0; at < count; at++) {
      const values = columns.map(({name, type, pk}) => {
        if (pk === 1 && type === 'INTEGER' && name === 'id') return rowid(at);
        if (name === 'id' && random.chance(0.7)) return random.chance(0.5) ? `key ${random.below(1e6)}` : rowid(at);
        return someValue(wild);
      });
      try {
        insert.run(...values, ...(isRowid ? [rowid(at)] : []));
      } catch {
        // A STRICT type, NOT NULL, or an AUTOINCREMENT that has reached the largest rowid.
      }
    }
  } finally {
    db.exec('COMMIT');
  }
}

/** Writes of every kind, VACUUM among them; never the schema. */
export function changeRows(wild: WildDatabase): void {
  const {db, random} = wild;
  for (const name of tablesOf(wild).filter((table) => !/^[fr](_|$)/.test(table))) {
    const table = quoted(name);
    const columns = db
      .prepare('SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0')
      .all(name)
      .map((row) => quoted(String(row.name)));
    const attempts = [
      () => db.exec(`DELETE FROM ${table} WHERE dice(4) = 0`),
      () =>
        db.exec(`UPDATE OR IGNORE ${table} SET ${random.pick(columns)} = ${random.pick(columns)} WHERE dice(9) = 0`),
      () => db.exec(`UPDATE OR REPLACE ${table} SET ${random.pick(columns)} = dice(1000) WHERE dice(30) = 0`),
      () => addRows(wild, table, random.pick([1, 30, 300])),
      () => random.chance(0.2) && db.exec(`DELETE FROM ${table}`),
    ];
    for (let count = random.below(4); count > 0; count--) {
      try {
        random.pick(attempts)();
      } catch {
        // A constraint.
      }
    }
  }
  try {
    if (random.chance(0.3)) db.exec(random.pick(['VACUUM', 'PRAGMA incremental_vacuum(7)', 'REINDEX', 'ANALYZE']));
  } catch {
    // SQLite itself cannot copy every table with generated columns.
  }
  if (random.chance(0.3)) db.exec(`PRAGMA wal_checkpoint(${random.pick(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])})`);
  if (tablesOf(wild).includes('f_data')) db.exec(`INSERT INTO f VALUES ('word${random.below(99)} two', 'four')`);
  if (tablesOf(wild).includes('r_node')) db.exec(`INSERT INTO r VALUES (NULL, ${random.below(99)}, 100)`);
}

/** Changes of the schema: they end a chain of increments. */
export function changeSchema(wild: WildDatabase): void {
  const {db, random} = wild;
  for (const name of tablesOf(wild).filter((table) => !/^[fr](_|$)/.test(table))) {
    const table = quoted(name);
    const column = quoted(String(random.pick(db.prepare('SELECT name FROM pragma_table_xinfo(?)').all(name))!.name));
    const statements = [
      `ALTER TABLE ${table} ADD COLUMN n${indexes++} DEFAULT ${random.pick(['5', 'NULL', `'five'`])}`,
      `ALTER TABLE ${table} DROP COLUMN ${column}`,
      `ALTER TABLE ${table} RENAME COLUMN ${column} TO m${indexes++}`,
      `CREATE INDEX i${indexes++} ON ${table} (${column} DESC)`,
    ];
    try {
      if (random.chance(0.5)) db.exec(random.pick(statements));
    } catch {
      // A column of a key or of an index, or a STRICT table.
    }
  }
}
