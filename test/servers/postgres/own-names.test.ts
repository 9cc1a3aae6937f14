import {expect, test} from 'vitest';
import {clusterOfFile, databaseOfTest} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

// What belongs to bkp in a database is known by its form: a schema of the user's may begin with the same letters.

const cluster = clusterOfFile(18);

const made = (sql: string) => databaseOfTest(cluster(), sql);

const create = (settings = '') => `CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster'${settings})`;
const incremental = ", INCREMENTAL_BACKUP_ENABLED='true'";

test('schemas and tables of the user with names like those of bkp are in a backup and its increments', async () => {
  const names = ['_bkp_stage_important', '_bkpx', '_bkp_stage_0123456789ab'];
  const database = await made(
    `CREATE TABLE _bkp_u (id int PRIMARY KEY); INSERT INTO _bkp_u VALUES (1);
    ${names.map((name) => `CREATE SCHEMA ${name}; CREATE TABLE ${name}.k (id int PRIMARY KEY)`).join(';')}`,
  );
  const {done} = openPostgresDesk(cluster(), database.name);
  await done('sql', create(incremental));
  await done('sql', '--wait', 'BACKUP c');
  for (const name of names) await database.exec(`INSERT INTO ${name}.k VALUES (7)`);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const target = await made('SELECT 1');
  await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  for (const table of ['_bkp_u', ...names.map((name) => `${name}.k`)]) {
    expect(await target.rows(table)).toEqual(await database.rows(table));
  }
  expect(await target.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
});

test('a schema _bkp of the user is in a backup, and keeps bkp from tracking until it has another name', async () => {
  const database = await made(
    'CREATE SCHEMA _bkp; CREATE TABLE _bkp.mine (id int PRIMARY KEY); INSERT INTO _bkp.mine VALUES (1)',
  );
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', create());
  await done('sql', '--wait', 'BACKUP c');
  const target = await made('SELECT 1');
  await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  expect(await target.rows('_bkp.mine')).toEqual(['(1)']);

  await done('sql', 'DROP BACKUP COLLECTION c');
  await done('sql', create(incremental));
  const refused = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(refused.status).not.toBe(0);
  expect(refused.stderr).toContain('the schema _bkp belongs to something else than bkp (PRECONDITION_FAILED)');
  const step = 'ALTER SCHEMA _bkp RENAME TO other_bkp';
  expect(refused.stderr).toContain(step);
  expect((await desk.bkp('doctor')).stdout).toContain(step);
  await database.exec(step);
  await done('sql', '--wait', 'BACKUP c');
});
