import {rmSync} from 'node:fs';
import {expect, test} from 'vitest';
import {backupsOf, openDesk} from '../helpers/desk.ts';

// An application that finds no file at its path makes an empty database there. Backups go on, and the settings that
// keep backups must not remove the last one of the database that was lost.

const table = 'CREATE TABLE orders (id INTEGER PRIMARY KEY, v)';

test('the newest backup of a database that was lost and made anew outlasts those that follow', async () => {
  const desk = openDesk(`${table}; INSERT INTO orders VALUES (1, 'all'), (2, 'there is')`);
  await desk.sql(
    `CREATE BACKUP COLLECTION c (TABLE orders)
     WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true', KEEP_LAST='2')`,
  );
  await desk.sqlWait('BACKUP c');
  await desk.sqlWait('BACKUP c INCREMENTAL OR FULL');
  const [, lost] = await backupsOf(desk);
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${desk.database}${suffix}`, {force: true});
  desk.exec(`PRAGMA journal_mode = WAL; ${table}`);
  for (let n = 0; n < 4; n++) await desk.sqlWait('BACKUP c INCREMENTAL OR FULL');
  const {stdout} = await desk.bkp('operation', 'list', '--format', 'json');
  expect(stdout).toContain(`another database has replaced the one of ${lost}, which is pinned until`);
  expect((await desk.bkp('collection', 'cleanup', '--wait')).status).toBe(0);
  const left = await backupsOf(desk);
  expect(left).toEqual([lost, ...left.slice(-2)]);
  const plan = await desk.bkp('retention', 'plan', '--format', 'json');
  expect(plan.stdout).toContain('the newest backup of a database that another one replaced');
  await desk.sqlWait(`RESTORE \`c/${lost}\` INTO './back.db'`);
  expect(desk.column('SELECT v FROM orders', `${desk.folder}/back.db`)).toEqual(['all', 'there is']);
  // Who wants no more of it says so.
  await desk.sqlWait(`UNPIN BACKUP c AT '${lost}'`);
  await desk.sqlWait(`DROP BACKUP c AT '${lost}'`);
  expect(await backupsOf(desk)).toEqual(left.slice(-2));
});

test('backups of one database, also after a restore that its increments continue, go as the settings say', async () => {
  const desk = openDesk(`${table}; INSERT INTO orders VALUES (1, 'x')`);
  await desk.sql(
    `CREATE BACKUP COLLECTION c (TABLE orders)
     WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true', KEEP_LAST='2')`,
  );
  for (let n = 0; n < 3; n++) await desk.sqlWait('BACKUP c');
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${desk.database}${suffix}`, {force: true});
  await desk.sqlWait('RESTORE c');
  for (let n = 0; n < 3; n++) await desk.sqlWait('BACKUP c INCREMENTAL');
  expect((await desk.bkp('collection', 'cleanup', '--wait')).status).toBe(0);
  expect(await backupsOf(desk)).toHaveLength(2);
});

test('a database that is no longer tracked is not taken for another one', async () => {
  const desk = openDesk(`${table}; INSERT INTO orders VALUES (1, 'x')`);
  await desk.sql(
    `CREATE BACKUP COLLECTION c (TABLE orders)
     WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true', KEEP_LAST='1')`,
  );
  await desk.sqlWait('BACKUP c');
  await desk.sql(`ALTER BACKUP COLLECTION c SET (INCREMENTAL_BACKUP_ENABLED='false')`);
  for (let n = 0; n < 3; n++) await desk.sqlWait('BACKUP c');
  expect((await desk.bkp('operation', 'list', '--format', 'json')).stdout).not.toContain('another database');
});
