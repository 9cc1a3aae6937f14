import pg from 'pg';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {awkwardChanges, awkwardSchema, awkwardTables} from './awkward.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {PgBouncer} from './pgbouncer.ts';

const cluster = clusterOfFile(18);
let bouncer: PgBouncer;

beforeAll(async () => {
  bouncer = await PgBouncer.start(cluster(), {poolSize: 8});
});
afterAll(() => bouncer?.stop());

const addressOf = (database: string) => `host=127.0.0.1 port=${bouncer.port} user=postgres dbname=${database}`;

async function databases(): Promise<readonly [TestDatabase, TestDatabase]> {
  const made = [await cluster().create(), await cluster().create()] as const;
  onTestFinished(async () => {
    for (const database of made) await database.close();
  });
  return made;
}

function openBehind(database: string, more: Record<string, string> = {}) {
  const desk = openDesk(undefined, {
    BKP_SOURCE: addressOf(database),
    PATH: `${cluster().clientBin}:${process.env.PATH}`,
    ...more,
  });
  const done = async (...args: string[]) => {
    const result = await desk.bkp(...args);
    expect(result, `${args.join(' ')}\n${result.stdout}${result.stderr}`).toMatchObject({status: 0});
    return `${result.stdout}${result.stderr}`;
  };
  return {desk, done};
}

test('behind PgBouncer in transaction mode, a database is backed up with increments, and restored', async () => {
  const [database, target] = await databases();
  await database.exec(`${awkwardSchema}; CREATE TABLE more (id int PRIMARY KEY); INSERT INTO more VALUES (1)`);
  const {done} = openBehind(database.name);
  // An application in the same pool, whose sessions bkp shares.
  const application = new pg.Client({host: '127.0.0.1', port: bouncer.port, user: 'postgres', database: database.name});
  await application.connect();
  onTestFinished(() => application.end());
  const settings = async () => {
    const names = ['search_path', 'statement_timeout', 'lock_timeout', 'DateStyle', 'row_security', 'TimeZone'];
    const {rows} = await application.query(`SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`);
    return rows;
  };
  const usual = await settings();
  expect(await done('doctor')).toContain('PostgreSQL 18');
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await application.query(awkwardChanges);
  const increment = await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  expect(increment).not.toContain('all rows of public.a are taken');
  await done('sql', '--wait', 'BACKUP c');
  await application.query('INSERT INTO more VALUES (2)');
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  // What stays in a session of the pool would change what the application sees.
  for (let each = 0; each < 20; each++) expect(await settings()).toEqual(usual);
  await done('sql', '--wait', 'VERIFY c');
  await done('--source', addressOf(target.name), 'sql', '--wait', 'RESTORE c');
  for (const table of [...awkwardTables, 'public.more']) {
    const only = table === 'public.part' ? table : `ONLY ${table}`;
    expect(await target.rows(only), table).toEqual(await database.rows(only));
  }
  await done('sql', 'DROP BACKUP COLLECTION c');
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
});

test('behind PgBouncer, several sessions read a large table, and increments by reading work', async () => {
  const [database, target] = await databases();
  await database.exec(`CREATE TABLE t (id bigint PRIMARY KEY, note text);
    INSERT INTO t SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 200000) n; ANALYZE t`);
  const url = `postgres::url=postgres://postgres@127.0.0.1:${bouncer.port}/${database.name};tracking=scan`;
  const {done} = openBehind(database.name, {BKP_SOURCE: url});
  await done('sql', "CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await database.exec("UPDATE t SET note = 'changed' WHERE id % 1000 = 1; DELETE FROM t WHERE id % 1000 = 2");
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
  await done('--source', addressOf(target.name), 'sql', '--wait', 'RESTORE c');
  expect(await target.rows('t')).toEqual(await database.rows('t'));
});
