import {linkSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {otherNames} from '../../../src/sources/sqlite/engine/other-names.ts';
import {SqliteFileSource} from '../../../src/sources/sqlite/file/files.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {takeFull} from '../layers.ts';
import {Database, folder, owner} from './database.ts';

const schema = `CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'in the file')`;

/** A database that the application has open, and another name of its file. */
function linked(mode: string, link = linkSync): {database: Database; path: string} {
  const database = new Database(`PRAGMA journal_mode = ${mode}; ${schema}`);
  const path = join(database.path, '..', 'other.db');
  link(database.path, path);
  return {database, path};
}

test('a hard link to a database whose log has changes is refused, and nothing is written under that name', async () => {
  const {database, path} = linked('wal');
  database.exec(`PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (2, 'in the log')`);
  const refused = {
    code: 'SOURCE_UNAVAILABLE',
    message: `${path} is a hard link to app.db, and app.db-wal has its last changes`,
    next: `name the file as the application does: bkp config set source '${database.path}'`,
  };
  await expect(takeFull(new SqliteSource(path), {tables: ['t'], track: {owner}})).rejects.toMatchObject(refused);
  await expect(new SqliteFileSource(path).dataId()).rejects.toMatchObject(refused);
  // Under its own name it can be backed up.
  const own = await takeFull(database.source, {tables: ['t'], track: {owner}});
  expect(own.contents.get('t')?.rows).toBe(2);
});

test('each backup says that its database has several names', async () => {
  const {database, path} = linked('wal');
  database.close();
  const notices: string[] = [];
  await takeFull(new SqliteSource(path), {tables: ['t'], notice: (text) => notices.push(text)});
  expect(notices).toEqual([expect.stringMatching(/other\.db has 2 names \(hard links\)/)]);
  const checks = await new SqliteSource(path).inspect();
  expect(checks).toContainEqual({what: 'names', ok: true, detail: notices[0]});
});

test('a journal beside another name counts while it is needed', async () => {
  const {database, path} = linked('persist');
  database.exec(`INSERT INTO t VALUES (2, 'kept journal')`);
  await takeFull(new SqliteSource(path), {tables: ['t']});
  database.exec(
    `PRAGMA cache_size = 1; BEGIN; INSERT INTO t SELECT value, zeroblob(9999) FROM json_each('[5,6,7,8,9]')`,
  );
  await expect(takeFull(new SqliteSource(path), {tables: ['t']})).rejects.toMatchObject({
    message: `${path} is a hard link to app.db, and app.db-journal has its last changes`,
  });
  database.exec('COMMIT');
  await takeFull(new SqliteSource(path), {tables: ['t']});
});

test('a symbolic link leads to the log', async () => {
  const {database, path} = linked('wal', symlinkSync);
  database.exec(`PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (2, 'in the log')`);
  const notices: string[] = [];
  const taken = await takeFull(new SqliteSource(path), {tables: ['t'], notice: (text) => notices.push(text)});
  expect([taken.contents.get('t')?.rows, notices]).toEqual([2, []]);
});

test('a file that is mounted alone is named', () => {
  const path = join(folder(), 'my app.db');
  writeFileSync(path, '');
  const mounted = `/dev/vda1 / ext4 rw 0 0\n/dev/vda1 ${path.replaceAll(' ', '\\040')} ext4 rw 0 0\n`;
  expect(otherNames(path, mounted)).toMatch(/my app\.db is mounted without its folder: .*; mount the folder$/);
  expect(otherNames(path, '/dev/vda1 / ext4 rw 0 0\n')).toBeUndefined();
});
