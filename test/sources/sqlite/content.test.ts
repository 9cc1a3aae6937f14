import {expect, test} from 'vitest';
import {restore, takeFull} from '../layers.ts';
import {contentsBySql, contentsOf} from './contents.ts';
import {Database, expectComesBack} from './database.ts';

// The content of a table is what SQLite reads from its records, whatever their bytes say.

/** Column `a`, of which the records have values, becomes the rowid. */
const rowidOverValues = `
  CREATE TABLE t (a, b);
  INSERT INTO t VALUES ('a text', 1), (x'0102', 2), (1.5, 3), (70, 4), (NULL, 5);
  PRAGMA writable_schema = ON;
  UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a INTEGER PRIMARY KEY, b)';
  PRAGMA writable_schema = RESET`;

test.each([undefined, 'rows'] as const)('a rowid is content whatever its record has (form %s)', async (form) => {
  const database = new Database('');
  database.db.enableDefensive(false);
  database.db.exec(rowidOverValues);
  expect(database.value('SELECT group_concat(a) FROM t')).toBe('1,2,3,4,5');
  expect(await contentsOf(database.path, ['t'])).toEqual(contentsBySql(database.path, ['t']));
  const backup = await takeFull(database.source, {tables: ['t'], form});
  await expectComesBack(database, backup);
  const other = new Database('CREATE TABLE other (x)');
  await restore(other.source, backup);
  expect(await contentsOf(other.path, ['t'])).toEqual(Object.fromEntries(backup.contents));
});
