import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {imageOf} from '../../helpers/sqlite-compare.ts';
import {restore, takeFull} from '../layers.ts';
import {contentsBySql} from './contents.ts';
import {folder} from './database.ts';

// Reading its records ends at the first one that is too large; the rows before it must not count as its content.
test.each([
  ['without rowid', 'CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID', 2 * 1024 * 1024],
  ['with rowids', 'CREATE TABLE t (k TEXT, v)', 9 * 1024 * 1024],
])('a table %s whose last record is too large to be taken as one is restored', async (_, schema, bytes) => {
  const path = join(folder(), 'app.db');
  const db = new DatabaseSync(path);
  db.exec(`${schema}; INSERT INTO t VALUES ('a', 1), ('b', 2); INSERT INTO t VALUES ('c', zeroblob(${bytes}))`);
  db.close();
  const backup = await takeFull(new SqliteSource(path), {tables: ['t']});
  const content = backup.contents.get('t');
  if (content !== undefined) expect(content.rows).toBe(3);
  if (bytes < 8 * 1024 * 1024) expect(content).toEqual(contentsBySql(path, ['t']).t);
  const target = join(folder(), 'new.db');
  await restore(new SqliteSource(target), backup);
  expect(imageOf(target, ['t'])).toEqual(imageOf(path, ['t']));
});
