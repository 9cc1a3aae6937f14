import {describe, expect, test} from 'vitest';
import {takeFull} from '../layers.ts';
import {Database, expectComesBack, full, increment, owner} from './database.ts';

// bkp's own tables and triggers are known by name and form. What only has the name is the user's: it stays as it is.

const users = `
  CREATE TABLE _bkp_log_visits (a INTEGER PRIMARY KEY, b TEXT);
  INSERT INTO _bkp_log_visits VALUES (5, 'mine');
  CREATE TABLE _bkp_row_visits (a); INSERT INTO _bkp_row_visits VALUES (1);
  CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 2);
  CREATE TABLE notes (id INTEGER PRIMARY KEY, x);
  CREATE TRIGGER _bkp_mine AFTER INSERT ON t BEGIN INSERT INTO notes (x) VALUES (NEW.v); END;
  CREATE TRIGGER _bkp_delete_visits AFTER DELETE ON t BEGIN INSERT INTO notes (x) VALUES (OLD.v); END;`;

const schemaOf = (database: Database) =>
  database.value(
    `SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql)`,
  );

test('tables and triggers that are only named like those of bkp stay, and the triggers are in the backup', async () => {
  const database = new Database(users);
  const before = schemaOf(database);
  const first = await full(database, ['t', 'notes']);
  database.db.exec('INSERT INTO t VALUES (2, 3); DELETE FROM t WHERE k = 1');
  const second = await increment(database, first);
  await expectComesBack(database, second);
  expect(database.value('SELECT b FROM _bkp_log_visits')).toBe('mine');
  expect(database.value('SELECT group_concat(x) FROM notes')).toBe('3,2');
  await database.source.untrack(owner);
  expect(schemaOf(database)).toBe(before);
});

test('a trigger of a tracked table that no longer writes to its log is of bkp all the same', async () => {
  const database = new Database('CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 2)');
  await full(database, ['t']);
  database.exec('DROP TRIGGER _bkp_delete_t; CREATE TRIGGER _bkp_delete_t AFTER DELETE ON t BEGIN SELECT 1; END');
  await expectComesBack(database, await full(database, ['t']));
  expect(database.value("SELECT sql FROM sqlite_schema WHERE name = '_bkp_delete_t'")).toContain('_bkp_log_t');
});

test('a backup of the whole database names each table that has such a name', async () => {
  const database = new Database(users);
  await full(database, ['t']);
  const leftBehind = await database.source.leftBehind('all');
  expect(leftBehind.filter((sentence) => sentence.includes('_bkp_'))).toEqual([
    expect.stringMatching(/^_bkp_log_visits is left out/),
    expect.stringMatching(/^_bkp_row_visits is left out/),
  ]);
});

describe('a name that bkp needs is not taken from the user', () => {
  const cases: Record<string, string> = {
    'table _bkp_log_t': 'CREATE TABLE _bkp_log_t (a, b)',
    'view _bkp_log_t': 'CREATE VIEW _bkp_log_t AS SELECT 1 AS seq, 2 AS k0',
    'table _bkp_meta': 'CREATE TABLE _bkp_meta (a)',
    'table _bkp_marks': 'CREATE TABLE _bkp_marks (a, b)',
    'table _bkp_files': 'CREATE TABLE _bkp_files (a, b)',
    'trigger _bkp_insert_t': 'CREATE TRIGGER _bkp_insert_t AFTER INSERT ON t BEGIN SELECT 1; END',
  };
  test.each(Object.entries(cases))('%s', async (what, sql) => {
    const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 2); ${sql}`);
    const before = schemaOf(database);
    await expect(full(database, ['t'])).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: `${what} has a name that bkp needs to track changes`,
    });
    expect(schemaOf(database)).toBe(before);
    await expectComesBack(database, await takeFull(database.source, {tables: ['t']}));
  });
});
