import {copyFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync, type SQLOutputValue} from 'node:sqlite';
import {expect} from 'vitest';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {imageOf} from '../../helpers/sqlite-compare.ts';
import {Random} from '../../simulator/random.ts';
import {type Backup, restore, takeFull, takeIncrement} from '../layers.ts';
import {contentsBySql, contentsOf, isQuickBySql} from './contents.ts';
import {folder} from './database.ts';
import {changeRows, changeSchema, makeWildDatabase, quoted, tablesOf, type WildDatabase} from './wild-database.ts';

const owners = ['first', 'second'] as const;

/** @throws Error that names the seed of the first database that did not come back as it was */
export async function tryWildDatabases(count: number, firstSeed: number): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const random = new Random(seed);
    const path = join(folder(), 'app.db');
    const wild = makeWildDatabase(path, random);
    try {
      await live(wild);
    } catch (error) {
      // SQLite damages some of these databases itself (indexes of schema format 1), and the backup must say so.
      if ((error as {code?: string}).code === 'SOURCE_DAMAGED' && !isSound(wild.db)) continue;
      throw new Error(`BKP_TEST_SEED=${seed}: ${wild.note}`, {cause: error});
    } finally {
      wild.db.close();
    }
  }
}

const isSound = (db: DatabaseSync) => Object.values(db.prepare('PRAGMA integrity_check(1)').get()!)[0] === 'ok';

/** Two collections of the same tables: each takes full backups and increments at its own time. */
async function live(wild: WildDatabase): Promise<void> {
  const {path, random} = wild;
  const source = new SqliteSource(path);
  const taken = new Map<string, Backup>();
  for (let round = 0; round < 4; round++) {
    const owner = random.pick(owners);
    const facts = await source.describe(tablesOf(wild));
    const trackable = facts.filter((fact) => fact.state === 'present' && fact.fullOnly === undefined);
    const isTracked = trackable.length > 0 && random.chance(0.7);
    const chosen = isTracked ? trackable : facts.filter(({state}) => state === 'present');
    const last = taken.get(owner);
    const isIncrement = last?.mark !== undefined && random.chance(0.6);
    const tables = isIncrement ? last.schemas.map(({name}) => name) : chosen.map(({name}) => name);
    const backup = isIncrement
      ? await takeIncrement(source, owner, last)
      : await takeFull(source, {
          tables,
          ...(isTracked ? {track: {owner}} : {}),
          ...(last === undefined ? {} : {previous: last}),
        });
    taken.set(owner, backup);
    await expectBack(wild, backup, tables);
    changeRows(wild);
    if (random.chance(0.2)) {
      changeSchema(wild);
      taken.clear();
    }
  }
}

async function expectBack({path, random}: WildDatabase, backup: Backup, tables: readonly string[]): Promise<void> {
  const wanted = imageOf(path, tables);
  const fresh = join(folder(), 'new.db');
  if (random.chance(0.3)) writeFileSync(fresh, '');
  await restore(new SqliteSource(fresh), backup);
  expect(imageOf(fresh, tables)).toEqual(wanted);
  const contents = await contentsOf(path, tables);
  if (isQuickBySql(path)) expect(contents).toEqual(contentsBySql(path, tables));
  expect(await contentsOf(fresh, tables)).toEqual(contents);
  const odd = oddIndexes(path);
  expectUsable(fresh, random, odd);
  if (random.chance(0.5)) return;
  const existing = join(folder(), 'existing.db');
  const other = new DatabaseSync(existing);
  other.exec(`PRAGMA encoding = '${backup.database.encoding ?? 'UTF-8'}';
    PRAGMA page_size = ${random.pick([512, 65536])};
    PRAGMA auto_vacuum = ${random.pick([0, 1, 2])}; CREATE TABLE other (x)`);
  other.close();
  await restore(new SqliteSource(existing), backup);
  expect(imageOf(existing, tables)).toEqual(wanted);
  expectUsable(existing, random, odd);
}

/**
 * The indexes whose entries SQLite itself makes in two ways, as REAL or as integer: those of an untyped generated
 * column of a REAL one.
 */
function oddIndexes(path: string): ReadonlySet<string> {
  const copy = join(folder(), 'copy.db');
  const db = new DatabaseSync(path);
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
  copyFileSync(path, copy);
  const stored = Object.entries(allByIndex(copy));
  const reindexed = new DatabaseSync(copy);
  reindexed.exec('REINDEX');
  reindexed.close();
  const ways = [allByIndex(copy), allByIndex(copy, 'NOT INDEXED')];
  const isOdd = ([name, keys]: [string, string[]]) => ways.some((way) => way[name]?.join() !== keys.join());
  return new Set(stored.filter(isOdd).map(([name]) => name));
}

/**
 * Every index has what the table has, in order; the database can be changed, and its free pages given back.
 * @param odd the indexes that are not compared
 */
function expectUsable(path: string, random: Random, odd: ReadonlySet<string>): void {
  const indexed = allByIndex(path);
  const comparable = comparableOf(indexed, odd);
  expect(allByIndex(path, 'NOT INDEXED')).toMatchObject(comparable);
  const copy = `${path}.copy`;
  copyFileSync(path, copy);
  const db = new DatabaseSync(copy, {enableForeignKeyConstraints: false});
  try {
    db.exec('PRAGMA synchronous = OFF; REINDEX');
    expect(comparableOf(allByIndex(copy), odd)).toEqual(comparable);
    for (const {name} of db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0`).all()) {
      if (String(name).startsWith('sqlite_') || /^[fr]_/.test(String(name))) continue;
      db.exec(`DELETE FROM ${quoted(String(name))} WHERE random() % ${random.pick([2, 3])} = 0`);
    }
    db.exec('PRAGMA incremental_vacuum(3)');
    expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{integrity_check: 'ok'}]);
    db.exec('VACUUM');
    expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{integrity_check: 'ok'}]);
  } finally {
    db.close();
  }
}

const comparableOf = (indexes: Record<string, string[]>, odd: ReadonlySet<string>) =>
  Object.fromEntries(Object.entries(indexes).filter(([name]) => !odd.has(name)));

/** The keys of each index in its order, read from the index or sorted from the table. */
function allByIndex(path: string, how?: 'NOT INDEXED'): Record<string, string[]> {
  const db = new DatabaseSync(path);
  try {
    const indexes = db.prepare(
      `SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL`,
    );
    const all: Record<string, string[]> = {};
    for (const {name, tbl_name: table, sql} of indexes.all() as Record<string, string>[]) {
      const [, terms, where = ''] = /^CREATE (?:UNIQUE )?INDEX .*? ON .*? ?\((.*?)\)( WHERE .*)?$/s.exec(sql!) ?? [];
      if (terms === undefined) continue;
      const by = how ?? `INDEXED BY ${quoted(name!)}`;
      const values = splitTerms(terms).map((term) => term.replace(/( COLLATE \w+)?( DESC)?$/, ''));
      const query = `SELECT ${values.map((value) => `quote(${value})`).join(` || ',' || `)} AS key
        FROM ${quoted(table!)} ${by}${where} ORDER BY ${terms}`;
      let rows: Record<string, SQLOutputValue>[];
      try {
        rows = db.prepare(query).all();
      } catch (error) {
        // The condition of the index does not follow from itself, as that of a column of generated values.
        if ((error as Error).message !== 'no query solution') throw error;
        continue;
      }
      // Equal terms may be different values: ' ' and '' under RTRIM, whose order is that of the rows.
      all[name!] = rows.map(({key}) => String(key)).sort();
    }
    return all;
  } finally {
    db.close();
  }
}

const splitTerms = (terms: string) => terms.split(/, (?![^(]*\))/);
