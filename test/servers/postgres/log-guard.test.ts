import {expect, test} from 'vitest';
import {takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest} from './cluster.ts';

const cluster = clusterOfFile(18);
const owner = 'c';
const tables = ['public.t', 'public.p'];

test('nobody empties a log by mistake, and bkp trims what a backup has', async () => {
  const database = await databaseOfTest(
    cluster(),
    `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'old' FROM generate_series(1, 9) g;
     CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT`,
  );
  const {source} = database;
  const full = await takeFull(source, {tables, track: {owner}});
  await source.acknowledge(owner, full.mark!);
  await database.exec("UPDATE t SET v = 'new' WHERE id < 4; INSERT INTO p VALUES (1)");
  for (const table of tables) {
    const [oid] = await database.rows(`(SELECT '${table}'::regclass::oid)`);
    const log = `_bkp.log_${oid!.slice(1, -1)}`;
    const before = await database.rows(log);
    expect(before.length).toBeGreaterThan(0);
    for (const statement of [
      `DELETE FROM ${log}`,
      `UPDATE ${log} SET k0 = 7`,
      `TRUNCATE ${log}`,
      `MERGE INTO ${log} l USING (VALUES (1)) v (k) ON l.k0 = v.k WHEN MATCHED THEN DELETE`,
      `WITH gone AS (DELETE FROM ${log} RETURNING k0) SELECT count(*) FROM gone`,
    ]) {
      await expect(database.exec(statement), statement).rejects.toThrow('belongs to bkp');
    }
    expect(await database.rows(log)).toEqual(before);
  }
  const second = await takeIncrement(source, owner, full);
  await source.acknowledge(owner, second.mark!);
  expect(await source.tracking()).toMatchObject([{owner, logRows: 0}]);
});
