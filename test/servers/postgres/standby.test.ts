import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {Cluster, clusterOfFile, type TestDatabase} from './cluster.ts';

const cluster = clusterOfFile();
let standby: Cluster;
beforeAll(async () => {
  standby = await Cluster.standbyOf(cluster(), {max_standby_streaming_delay: '200ms'});
});
afterAll(() => standby?.stop());

async function databaseWith(schema: string): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  return database;
}

function deskAt({folder, port, bin}: Cluster, database: string, more = '') {
  const url = `postgres://postgres@/${database}?host=${encodeURIComponent(join(folder, 's'))}&port=${port}`;
  return openDesk(undefined, {BKP_SOURCE: `postgres::url=${url}${more}`, PATH: `${bin}:${process.env.PATH}`});
}

/** Until the standby has what the primary has now. */
async function replayed(): Promise<void> {
  const [from, to] = [await cluster().client('postgres'), await standby.client('postgres')];
  const {rows} = await from.query<{at: string}>('SELECT pg_current_wal_lsn() AS at');
  for (;;) {
    const {rows: there} = await to.query<{is: boolean}>(`SELECT pg_last_wal_replay_lsn() >= '${rows[0]!.at}' AS is`);
    if (there[0]!.is) break;
    await pause(20);
  }
  await Promise.all([from.end(), to.end()]);
}

test('a standby gives full backups and increments by reading, also of a tracked database', async () => {
  const database = await databaseWith('CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, $$a$$)');
  await takeFull(database.source, {tables: ['public.t'], track: {owner: 'another'}});
  await replayed();
  const desk = deskAt(standby, database.name);
  const create = "CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')";
  await desk.sql(create);
  await desk.sqlWait('BACKUP c');
  await database.exec("INSERT INTO t VALUES (2, 'b'); DELETE FROM t WHERE id = 1");
  await replayed();
  await desk.sqlWait('BACKUP c INCREMENTAL');
  await desk.sqlWait('VERIFY c');
  const doctor = await desk.bkp('doctor');
  expect(doctor.status, doctor.stdout).toBe(0);
  expect(doctor.stdout).toMatch(/changes of 1 table are found by reading, because .* is a\s+standby/u);
  // The tables are there, too, but no next step that names another schema would work.
  for (const restore of ['RESTORE c', "RESTORE c INTO SCHEMA 'copy'", "RESTORE c TABLE t WITH (MODE='merge')"]) {
    const result = await desk.bkp('sql', '--wait', restore);
    expect(result).toMatchObject({
      status: 12,
      stderr: expect.stringContaining('is a standby: nothing can be restored'),
    });
    expect(result.stderr).toContain('restore into its primary');
  }
  expect((await desk.bkp('operation', 'list')).stdout).not.toContain('restore');
  const strict = deskAt(standby, database.name, ';tracking=triggers');
  await strict.sql(create);
  const never = await strict.bkp('sql', '--wait', 'BACKUP c');
  expect(never).toMatchObject({status: 12, stderr: expect.stringContaining('is a standby')});
  expect(never.stderr).toContain('tracking=scan');
});

test('changes that logical replication applies are in the increments of the subscriber', async () => {
  const schema = 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY, v text)';
  const publisher = await databaseWith(`${schema}; CREATE PUBLICATION p FOR TABLE t, other`);
  const subscriber = await databaseWith(schema);
  const {folder, port} = cluster();
  const slot = `SELECT pg_create_logical_replication_slot('s_${subscriber.name}', 'pgoutput')`;
  await publisher.exec(slot);
  await subscriber.exec(`CREATE SUBSCRIPTION s_${subscriber.name}
    CONNECTION 'host=${join(folder, 's')} port=${port} dbname=${publisher.name} user=postgres' PUBLICATION p
    WITH (create_slot = false, copy_data = false)`);
  onTestFinished(() => subscriber.exec(`DROP SUBSCRIPTION s_${subscriber.name}`));
  const arrived = async () => {
    for (const table of ['t', 'other']) {
      await expect.poll(() => subscriber.rows(table)).toEqual(await publisher.rows(table));
    }
  };
  const tables = ['public.t', 'public.other'];
  await publisher.exec("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 50) g; INSERT INTO other VALUES (1, 'x')");
  await arrived();
  let backup = await takeFull(subscriber.source, {tables, track: {owner: 'c'}});
  const changes = [
    "UPDATE t SET v = 'y' WHERE id % 7 = 0; DELETE FROM t WHERE id % 5 = 0; UPDATE other SET id = 2",
    "BEGIN; INSERT INTO t VALUES (100, 'z'); UPDATE t SET id = 101 WHERE id = 1; COMMIT; DELETE FROM other",
    'TRUNCATE t',
  ];
  for (const change of changes) {
    await publisher.exec(change);
    await arrived();
    backup = await takeIncrement(subscriber.source, 'c', backup);
    const target = await databaseWith('SELECT 1');
    await restore(target.source, backup);
    for (const table of ['t', 'other']) expect(await target.rows(table)).toEqual(await publisher.rows(table));
  }
});

test('logs are trimmed where a publication is for all tables', async () => {
  const database = await databaseWith(
    `CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE two (a int, b text, PRIMARY KEY (a, b));
    CREATE PUBLICATION p FOR ALL TABLES`,
  );
  const full = await takeFull(database.source, {tables: ['public.t', 'public.two'], track: {owner: 'c'}});
  await database.exec("INSERT INTO t VALUES (1), (1 + 1); INSERT INTO two VALUES (1, 'x')");
  const {mark} = await takeIncrement(database.source, 'c', full);
  await database.source.acknowledge('c', mark!);
  const logs = await database.rows("(SELECT relname FROM pg_class WHERE relname ~ '^log_[0-9]+$')");
  expect(logs).toHaveLength(2);
  for (const log of logs) expect(await database.rows(`_bkp.${log.slice(1, -1)}`)).toEqual([]);
});
