import {expect, onTestFinished, test} from 'vitest';
import {type Backup, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {Cluster, type TestDatabase} from './cluster.ts';

const owner = 'c';
const tables = ['public.t'];

/** A catalog that only pg_dump reads, which runs between the mark and the snapshot of a backup. */
const readByPgDump = 'pg_catalog.pg_ts_template';

/**
 * Holds a backup between its mark and its snapshot until `meanwhile` has ended.
 * @param meanwhile what is committed by then is in the backup
 */
async function takeHeld(
  [cluster, database]: [Cluster, TestDatabase],
  take: () => Promise<Backup>,
  meanwhile: () => Promise<void>,
): Promise<Backup> {
  const holder = await cluster.client(database.name);
  await holder.query(`BEGIN; LOCK TABLE ${readByPgDump}`);
  const taking = take();
  // A rejection is that of the test, below.
  taking.catch(() => {});
  const waiting = `SELECT FROM pg_locks WHERE relation = '${readByPgDump}'::regclass AND NOT granted`;
  await expect.poll(async () => (await holder.query(waiting)).rowCount).toBe(1);
  await meanwhile();
  await holder.query('ROLLBACK');
  await holder.end();
  return taking;
}

async function filled(cluster: Cluster): Promise<TestDatabase> {
  const database = await cluster.create();
  await database.exec(
    "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'old' FROM generate_series(1, 9) g",
  );
  return database;
}

async function expectSame(backup: Backup, cluster: Cluster, rows: readonly string[]): Promise<void> {
  const target = await cluster.create();
  await restore(target.source, backup);
  expect(await target.rows('t')).toEqual(rows);
  await target.close();
}

test('increments and full backups are right after a crash that took commits which the backup before has', async () => {
  const cluster = new Cluster();
  const settings = {wal_writer_delay: '10s', autovacuum: 'off'};
  await cluster.start(settings);
  onTestFinished(() => cluster.stop());
  const database = await filled(cluster);
  const first = await takeFull(database.source, {tables, track: {owner}});
  const second = await takeHeld(
    [cluster, database],
    () => takeIncrement(database.source, owner, first),
    () => database.exec("SET synchronous_commit = off; UPDATE t SET v = 'lost' WHERE id = 5"),
  );
  await database.forget();
  await cluster.killHard();
  cluster.launch(settings);
  await database.exec("UPDATE t SET v = 'new' WHERE id = 6");
  const now = await database.rows('t');
  const {source} = database.named(database.name);
  onTestFinished(() => source.close());
  await expectSame(await takeIncrement(source, owner, second), cluster, now);
  await expectSame(await takeFull(source, {tables, track: {owner}, previous: second}), cluster, now);
});

test('an increment is right after a failover to a standby that lacks commits which the backup before has', async () => {
  const cluster = new Cluster();
  await cluster.start();
  onTestFinished(() => cluster.stop());
  const database = await filled(cluster);
  const first = await takeFull(database.source, {tables, track: {owner}});
  const standby = await Cluster.standbyOf(cluster);
  onTestFinished(() => standby.stop());
  const after = database.named(database.name, standby);
  onTestFinished(() => after.close());
  // A first connection could not come while the catalog is locked.
  await after.rows('t');
  const mark = (of: TestDatabase) => of.rows('_bkp.mark');
  const second = await takeHeld(
    [cluster, database],
    () => takeIncrement(database.source, owner, first),
    async () => {
      await expect.poll(() => mark(after)).toEqual(await mark(database));
      await after.exec("ALTER SYSTEM SET primary_conninfo = ''");
      await after.exec('SELECT pg_reload_conf()');
      await expect.poll(() => after.rows('pg_stat_wal_receiver')).toEqual([]);
      await database.exec("UPDATE t SET v = 'lost' WHERE id = 5");
    },
  );
  await expectSame(second, cluster, await database.rows('t'));
  await after.exec('SELECT pg_promote()');
  await after.exec("UPDATE t SET v = 'new' WHERE id = 6");
  const now = await after.rows('t');
  expect(now).not.toEqual(await database.rows('t'));
  const told: string[] = [];
  const third = await takeIncrement(after.source, owner, second, {notice: (text) => told.push(text)});
  await expectSame(third, cluster, now);
  expect(told).toEqual([expect.stringContaining('all rows of public.t are taken: ')]);
});
