import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {guard} from '../../src/query/guard.ts';

function guarded() {
  const database = new DatabaseSync(':memory:');
  onTestFinished(() => database.close());
  database.exec('CREATE TABLE t (x); CREATE TABLE secret (x); CREATE INDEX i ON t (x)');
  return {database, heard: guard(database, new Set(['t']))};
}

// Tests only the authorizer: nothing checks the text first.
test.each([
  'PRAGMA user_version',
  'PRAGMA writable_schema = ON',
  "ATTACH ':memory:' AS x",
  'DETACH x',
  "VACUUM INTO 'bkp-must-not-write-this.db'",
  'CREATE TABLE u (x)',
  'CREATE TABLE u AS SELECT 1',
  'CREATE TEMP TABLE u (x)',
  'CREATE VIEW v AS SELECT 1',
  'CREATE TEMP VIEW v AS SELECT 1',
  'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END',
  'CREATE INDEX j ON t (x)',
  'CREATE VIRTUAL TABLE u USING fts5(x)',
  'ALTER TABLE t ADD COLUMN y',
  'DROP TABLE t',
  'DROP INDEX i',
  'INSERT INTO t VALUES (1)',
  'INSERT INTO t SELECT 1 RETURNING x',
  'REPLACE INTO t VALUES (1)',
  'UPDATE t SET x = 1',
  'DELETE FROM t',
  'BEGIN',
  'COMMIT',
  'SAVEPOINT s',
  'REINDEX t',
  'ANALYZE',
  'SELECT * FROM secret',
  'SELECT count(*) FROM secret',
  'SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM secret)',
  'SELECT * FROM sqlite_schema',
  'SELECT * FROM pragma_user_version',
  "SELECT LOAD_EXTENSION('x')",
  'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 1',
])('the authorizer refuses %s', (text) => {
  const {database, heard} = guarded();
  expect(() => database.prepare(text).all()).toThrow(expect.objectContaining({code: 'ERR_SQLITE_ERROR'}));
  expect(heard.refused).toBeDefined();
});

test('the authorizer allows SELECT on its tables, and records what was read and called', () => {
  const {database, heard} = guarded();
  database
    .prepare('SELECT upper(max(a.x)) FROM T a JOIN (SELECT 2 AS y) ON y = 2 WHERE a.x IN (SELECT x FROM t)')
    .all();
  expect(heard).toEqual({tables: new Set(['t']), functions: new Set(['upper', 'max'])});
});
