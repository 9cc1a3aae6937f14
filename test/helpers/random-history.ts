import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import type {BackupName} from '../../src/collections/index.ts';
import type {Random} from '../simulator/random.ts';
import {type Bench, collectDatabase, inProcess} from './in-process.ts';

// Random databases whose rows and schema change, with backups of a collection `c` and a copy of the file at each.

export type History = {
  folder: string;
  database: string;
  cluster: string;
  bench: Bench;
  /** Copies of the database: of each backup, in order. */
  copies: ReadonlyMap<BackupName, string>;
  /** A path that nothing has. */
  file: (ending: string) => string;
  change: (statements: readonly string[]) => void;
  /** All statements that did something, and the backups. */
  log: string[];
};

/** Names that a statement, a file or a terminal may take for something else. */
const tableNames = ['orders', 'we"ird', "it's", 'línea', 'two words', 'new\nline', 'select', 'b`tick', 'T', '1st'];
const columnNames = ['v', 'w"x', "o'r", 'größe', 'a b', 'l\nm', 'from', 'V2'];

export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

const keys = [
  ['k INTEGER PRIMARY KEY, l', ''],
  ['k INTEGER PRIMARY KEY AUTOINCREMENT, l', ''],
  ['k INTEGER PRIMARY KEY DESC, l', ''],
  ['k INTEGER PRIMARY KEY ON CONFLICT REPLACE, l', ''],
  ['k, l', ''],
  ['k TEXT PRIMARY KEY, l', ''],
  ['k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, l', ''],
  ['k INT, l TEXT, PRIMARY KEY (k, l)', ''],
  ['k, l, PRIMARY KEY (k DESC, l)', ''],
  ['k TEXT, l INT, PRIMARY KEY (l DESC, k COLLATE NOCASE DESC)', ''],
  ['k TEXT PRIMARY KEY DESC, l', ' WITHOUT ROWID'],
  ['k TEXT COLLATE RTRIM, l INT, PRIMARY KEY (k, l DESC)', ' WITHOUT ROWID'],
  ['k, l, PRIMARY KEY (l, k)', ' WITHOUT ROWID'],
  ['k TEXT, l TEXT COLLATE NOCASE UNIQUE', ''],
] as const;

/** Where columns end and constraints begin in what {@link keys} has. */
function columnsAndRest(text: string): [columns: string, constraints: string] {
  const at = text.indexOf(', PRIMARY KEY (');
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at)];
}

const payload = ['', 'TEXT', 'INTEGER', 'REAL', 'NUMERIC', 'BLOB', "TEXT NOT NULL DEFAULT 'd'"];

/** A key or a value; `i` is a number of a row. */
const values = ['i', `'k' || i`, 'i % 7', `char(65 + i % 40)`, 'i / 3.0', `CASE WHEN i % 11 THEN i END`, `'é' || i`];

export function randomHistory(random: Random): History {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-history-'));
  const database = join(folder, 'app.db');
  const cluster = join(folder, 'cluster');
  const log: string[] = [];
  let files = 0;
  return {
    ...{folder, database, cluster, log, copies: new Map()},
    bench: inProcess({database, cluster}),
    file: (ending) => join(folder, `file ${++files}${ending}`),
    change: (statements) => change(database, statements, log, random),
  };
}

export function removeHistory({folder}: History): void {
  rmSync(folder, {recursive: true, force: true});
}

/**
 * Creates the collection and takes backups while the database changes.
 * @param also further changes; default: those of {@link anyStep} alone
 */
export async function live(history: History, random: Random, steps: number, also?: typeof anyStep): Promise<void> {
  const {bench, database, change, log} = history;
  const next = () => (also !== undefined && random.chance(0.3) ? also : anyStep)(random, tablesIn(database));
  const copies = history.copies as Map<BackupName, string>;
  change([`PRAGMA journal_mode = ${random.pick(['WAL', 'DELETE'])}`]);
  for (const name of ['orders', random.pick(tableNames), random.pick(tableNames)]) change(newTable(random, name));
  await collectDatabase(bench);
  for (let step = 0; step < steps; step++) {
    for (let left = random.below(5); left > 0; left--) change(next());
    change(['CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, v)']);
    const type = step === 0 || random.chance(0.15) ? 'full' : 'incremental';
    const fold = {
      ...{deltas: random.below(3), growth: random.pick([1, 1e9]), basePart: 0.5, leastKeys: random.pick([3, 1000])},
    };
    const form = random.chance(0.25) ? ('rows' as const) : undefined;
    const name = await bench.backup('c', type, {form, fold});
    log.push(`-- ${name} ${form ?? ''}`);
    copies.set(name, join(history.folder, `copy ${copies.size}.db`));
    copyFileSync(database, copies.get(name)!);
  }
  for (let left = random.below(4); left > 0; left--) change(next());
}

/** An ordinary table. `keepsRowids`: it has no key but its rowid. */
export type Listed = {name: string; columns: readonly string[]; keepsRowids: boolean};

/** Without bkp's. */
export function tablesIn(path: string): readonly Listed[] {
  const db = new DatabaseSync(path);
  try {
    const names = db
      .prepare(
        `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_bkp\\_%' ESCAPE '\\' ORDER BY name`,
      )
      .all()
      .map(({name}) => String(name));
    return names.map((name) => ({
      name,
      columns: db
        .prepare('SELECT name FROM pragma_table_xinfo(?)')
        .all(name)
        .map((row) => String(row.name)),
      keepsRowids: db.prepare(`SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'`).get(name) === undefined,
    }));
  } finally {
    db.close();
  }
}

/** Statements that are not possible in the present schema, or violate it, change nothing. */
function change(database: string, statements: readonly string[], log: string[], random: Random): void {
  const db = new DatabaseSync(database, {enableForeignKeyConstraints: false});
  // SQLite's own random() would not depend on the seed.
  db.function('dice', (sides) => random.below(Number(sides)));
  try {
    for (const sql of statements) {
      try {
        db.exec(sql);
        log.push(sql);
      } catch {
        // See above.
      }
    }
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
}

export function newTable(random: Random, name: string): string[] {
  const [key, end] = random.pick(keys);
  const [columns, constraints] = columnsAndRest(key);
  const others = columnNames.filter(() => random.chance(0.3)).map((one) => `${quoted(one)} ${random.pick(payload)}`);
  const generated = random.chance(0.2) ? [random.pick(['g AS (k || l)', 'g TEXT AS (lower(l)) STORED'])] : [];
  const list = [columns, ...others, 'pad', ...generated].join(', ');
  return [
    `CREATE TABLE ${quoted(name)} (${list}${constraints})${end}`,
    ...(random.chance(0.4) ? [newIndex(random, {name, columns: ['k', 'l', 'pad']})] : []),
    rows(random, name),
  ];
}

const newIndex = (random: Random, {name, columns}: {name: string; columns: readonly string[]}) =>
  `CREATE ${random.pick(['', '', 'UNIQUE '])}INDEX ${quoted(`${name} i${random.below(3)}`)} ON ${quoted(name)} (${
    quoted(random.pick(columns)) + random.pick(['', ' DESC', ' COLLATE NOCASE'])
  }${random.pick(['', ', k', ', l DESC'])})${random.pick(['', '', ' WHERE k > 5'])}`;

/** Some tables are large enough for several segments. */
const rows = (random: Random, name: string) => {
  const isLarge = random.chance(0.25);
  const count = isLarge ? 600 : random.pick([0, 1, 20, 60]);
  return `WITH RECURSIVE n(i) AS (SELECT ${random.below(80)} UNION ALL SELECT i + 1 FROM n LIMIT ${count})
    INSERT OR IGNORE INTO ${quoted(name)} (k, l, pad)
    SELECT ${random.pick(['i', 'i', ...values])}, ${random.pick(values)},
    ${isLarge ? `printf('%05000d', i)` : random.pick(values)} FROM n WHERE ${count} > 0`;
};

type KnownTable = {name: string; columns: readonly string[]};

export function anyStep(random: Random, tables: readonly KnownTable[]): string[] {
  const known = tables.length === 0 ? {name: 'orders', columns: ['k', 'l']} : random.pick(tables);
  const name = quoted(known.name);
  const column = () => quoted(random.pick(known.columns));
  const other = random.pick(tableNames);
  const value = () =>
    random.pick(['NULL', '1', '2.0', `'a'`, `'A '`, `x'00ff'`, `'it''s'`, '9223372036854775807', '9e999']);
  return random.pick([
    () => newTable(random, other),
    () => [rows(random, known.name)],
    () => [rows(random, known.name)],
    () => [`UPDATE OR IGNORE ${name} SET ${column()} = ${value()} WHERE dice(5) = 0`],
    () => [`UPDATE OR REPLACE ${name} SET ${column()} = ${value()} WHERE dice(40) = 0`],
    () => [`UPDATE OR IGNORE ${name} SET k = l, l = k WHERE dice(9) = 0`],
    () => [`UPDATE OR IGNORE ${name} SET k = k + 1000 WHERE dice(9) = 0`],
    () => [`UPDATE OR REPLACE ${name} SET k = upper(k) WHERE dice(3) = 0`],
    () => [`DELETE FROM ${name} WHERE dice(4) = 0`],
    () => [`DELETE FROM ${name}`],
    () => [`DROP TABLE ${name}`],
    () => [`DROP TABLE ${name}`, ...newTable(random, known.name)],
    () => [`ALTER TABLE ${name} ADD COLUMN ${quoted(random.pick(columnNames))} DEFAULT ${value()}`],
    () => [`ALTER TABLE ${name} DROP COLUMN ${column()}`],
    () => [`ALTER TABLE ${name} RENAME COLUMN ${column()} TO ${quoted(random.pick(columnNames))}`],
    () => [`ALTER TABLE ${name} RENAME TO ${quoted(other)}`],
    () => [
      `ALTER TABLE ${name} RENAME TO aside`,
      `ALTER TABLE ${quoted(other)} RENAME TO ${name}`,
      `ALTER TABLE aside RENAME TO ${quoted(other)}`,
      'DROP TABLE IF EXISTS aside',
    ],
    () => [newIndex(random, known)],
    () => [`DROP INDEX ${quoted(`${known.name} i${random.below(3)}`)}`],
    () => ['VACUUM'],
  ])();
}
