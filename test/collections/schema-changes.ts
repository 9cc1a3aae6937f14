import {cpSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect} from 'vitest';
import {type BackupName, createCollection} from '../../src/collections/index.ts';
import {BkpError} from '../../src/errors/index.ts';
import {type Store, wrapStore} from '../../src/stores/index.ts';
import {type Bench, inProcess} from '../helpers/in-process.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';
import {Random} from '../simulator/random.ts';

// A database whose schema changes all the time: tables are created, altered, renamed, rebuilt, dropped; the tracking of
// some is damaged; some backups fail after they have read everything. After one full backup there are only increments,
// and every backup restores the database of its time.

const names = ['a', 'b', 'c', 'd'] as const;

/** @throws Error that names the seed of the first database that failed */
export async function trySchemaChanges(count: number, firstSeed: number): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const folder = mkdtempSync(join(tmpdir(), 'bkp-schema-'));
    const log: string[] = [];
    try {
      await live(folder, new Random(seed), log);
    } catch (error) {
      throw new Error(`BKP_TEST_SEED=${seed}:\n${log.join('\n')}`, {cause: error});
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  }
}

async function live(folder: string, random: Random, log: string[]): Promise<void> {
  const database = join(folder, 'app.db');
  let failing = false;
  const store = (inner: Store): Store =>
    wrapStore(inner, {
      put: (key, body, options) => {
        if (failing && key.endsWith('/manifest')) throw new BkpError('STORE_UNAVAILABLE', 'a test');
        return inner.put(key, body, options);
      },
    });
  const bench = inProcess({database, cluster: join(folder, 'cluster'), store});
  change(database, ['PRAGMA journal_mode = WAL', ...table(random, 'a'), ...table(random, 'b')], log);
  await create(bench);
  const taken = [await bench.backup('c', 'full')];
  keep(folder, taken[0]!);
  for (let left = random.between(4, 8); left > 0; left--) {
    for (let steps = random.between(1, 4); steps > 0; steps--) change(database, step(random), log);
    // A collection needs a table.
    change(database, ['CREATE TABLE IF NOT EXISTS always (id INTEGER PRIMARY KEY)'], log);
    failing = random.chance(0.2);
    log.push(failing ? '-- an increment that fails' : '-- an increment');
    const fold = {
      deltas: random.below(3),
      growth: random.pick([1, 1e9]),
      basePart: 0.5,
      leastKeys: random.pick([3, 1000]),
    };
    const done = bench.backup('c', 'incremental', {fold});
    if (failing) await expect(done).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
    else {
      const name = await done;
      taken.push(name);
      keep(folder, name);
    }
  }
  failing = false;
  for (const name of taken) {
    const target = join(folder, `restored ${name}.db`);
    await bench.restore('c', target, name);
    const [restored, wanted] = [imageOf(target), imageOf(copyOf(folder, name))];
    expect(restored.schema, name).toEqual(wanted.schema);
    expect(restored, name).toEqual(wanted);
  }
}

const copyOf = (folder: string, name: BackupName) => join(folder, `kept ${name}.db`);

/** No connection is open, so the file is complete. */
const keep = (folder: string, name: BackupName) => cpSync(join(folder, 'app.db'), copyOf(folder, name));

async function create(bench: Bench): Promise<void> {
  const settings = [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}];
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {name: 'c', members: {kind: 'database'}, settings, ifNotExists: false},
    ),
  );
}

/** Statements that are not possible in the present schema are left out. */
function change(database: string, statements: readonly string[], log: string[]): void {
  const db = new DatabaseSync(database, {enableForeignKeyConstraints: false});
  try {
    for (const sql of statements) {
      try {
        db.exec(sql);
        log.push(sql);
      } catch {}
    }
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
}

const rows = (name: string, random: Random) =>
  `WITH RECURSIVE n(i) AS (SELECT ${random.below(50)} UNION ALL SELECT i + 1 FROM n LIMIT ${random.between(1, 30)})
   INSERT OR IGNORE INTO ${name} SELECT i, i * 7 % 5, 'w' || i FROM n`;

function table(random: Random, name: string): string[] {
  const create = random.pick([
    `CREATE TABLE ${name} (id INTEGER PRIMARY KEY, v, w)`,
    `CREATE TABLE ${name} (id INTEGER PRIMARY KEY AUTOINCREMENT, v, w)`,
    `CREATE TABLE ${name} (id TEXT PRIMARY KEY, v, w UNIQUE)`,
    `CREATE TABLE ${name} (id, v, w, PRIMARY KEY (v, id)) WITHOUT ROWID`,
    `CREATE TABLE ${name} (id, v, w)`,
  ]);
  return [create, rows(name, random)];
}

function step(random: Random): string[] {
  const name = random.pick(names);
  const other = random.pick(names);
  const column = random.pick(['v', 'w', 'x', 'y']);
  return random.pick([
    () => table(random, name),
    () => table(random, name),
    () => [rows(name, random)],
    () => [rows(name, random)],
    () => [`UPDATE ${name} SET ${column} = ${random.below(9)} WHERE id % 4 = ${random.below(4)}`],
    () => [`UPDATE ${name} SET id = id + 1000 WHERE id % 7 = ${random.below(7)}`],
    () => [`DELETE FROM ${name} WHERE id % 3 = ${random.below(3)}`],
    () => [`DELETE FROM ${name}`],
    () => [`DROP TABLE ${name}`],
    () => [`DROP TABLE ${name}`, ...table(random, name)],
    () => [`ALTER TABLE ${name} ADD COLUMN ${column} DEFAULT ${random.below(9)}`],
    () => [`ALTER TABLE ${name} DROP COLUMN ${column}`],
    () => [`ALTER TABLE ${name} DROP COLUMN v`],
    () => ['ALTER TABLE a DROP COLUMN w'],
    () => [`ALTER TABLE ${name} RENAME COLUMN ${column} TO ${random.pick(['x', 'y'])}`],
    () => [`ALTER TABLE ${name} RENAME TO ${other}`],
    () => [
      `ALTER TABLE ${name} RENAME TO aside`,
      `ALTER TABLE ${other} RENAME TO ${name}`,
      `ALTER TABLE aside RENAME TO ${other}`,
    ],
    () => [
      `CREATE TABLE aside (id INTEGER PRIMARY KEY, v, w)`,
      `INSERT OR IGNORE INTO aside SELECT id + 1, v, w FROM ${name}`,
      `DROP TABLE ${name}`,
      `ALTER TABLE aside RENAME TO ${name}`,
      'DROP TABLE IF EXISTS aside',
    ],
    () => [`CREATE ${random.pick(['', 'UNIQUE '])}INDEX ${name}_${column} ON ${name} (${column})`],
    () => [`DROP INDEX ${name}_${column}`],
    () => [`CREATE TRIGGER ${name}_t AFTER INSERT ON ${name} BEGIN SELECT 1; END`],
    () => [`CREATE VIEW view_${name} AS SELECT ${random.below(9)} AS n`],
    () => [`DROP VIEW view_${name}`],
    () => ['CREATE VIRTUAL TABLE words USING fts5(word)', `INSERT INTO words VALUES ('${column} ${name}')`],
    () => [`INSERT INTO words VALUES ('${column} ${name}')`],
    () => ['DROP TABLE words'],
    () => [`DROP TRIGGER _bkp_${random.pick(['insert', 'update', 'delete'])}_${name}`],
    () => [`DELETE FROM _bkp_log_${name}`],
    () => ['VACUUM'],
  ])();
}
