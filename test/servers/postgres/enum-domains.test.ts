import {expect, onTestFinished, test} from 'vitest';
import {merge, restore, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';
import {compared, retried} from './increments.ts';

// The server finds no operator of a domain over an enum, though it has an index of it.

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};
const owner = 'collection-1';
const tables = ['public.inner_key', 'public.large', 'public.t'];

test.each([
  [15, 'triggers'],
  [18, 'triggers'],
  [18, 'scan'],
] as const)('a key of a domain over an enum is compared by the enum (%i, %s)', async (version, tracking) => {
  const {database, target} = await filledAndEmpty(
    clusters[version](),
    `CREATE SCHEMA "T y"; CREATE TYPE "T y"."E" AS ENUM ('z', 'b', 'a'); CREATE DOMAIN d AS "T y"."E";
     CREATE DOMAIN "D 2" AS d NOT NULL; CREATE TABLE t (id "D 2" PRIMARY KEY, v int);
     INSERT INTO t VALUES ('z', 1), ('b', 2);
     CREATE TABLE inner_key (n int, k d, v int, PRIMARY KEY (n, k));
     INSERT INTO inner_key VALUES (1, 'a', 1), (1, 'b', 2);
     CREATE TABLE large (k d, n int, v text, PRIMARY KEY (k, n));
     INSERT INTO large SELECT (ARRAY['a', 'b', 'z'])[1 + n % 3]::d, n, repeat('x', 900)
       FROM generate_series(1, 4000) n`,
  );
  const source = database.with({tracking});
  onTestFinished(() => source.close());
  const full = await retried(() => takeFull(source, {tables, track: {owner}}));
  await database.exec(
    `INSERT INTO t VALUES ('a', 3); DELETE FROM t WHERE id::text = 'z'; UPDATE t SET v = 9 WHERE id::text = 'b';
     UPDATE inner_key SET v = 9, k = 'z' WHERE v = 2; DELETE FROM inner_key WHERE v = 1;
     UPDATE large SET v = 'new' WHERE n = 77; DELETE FROM large WHERE n BETWEEN 1000 AND 1020`,
  );
  const {backup, lost} = await compared(source, full);
  expect(lost).toEqual([]);
  await restore(target.source, backup);
  for (const table of tables) expect(await target.rows(table)).toEqual(await database.rows(table));
  const next = await retried(() => takeFull(source, {tables, track: {owner}, previous: full}));
  expect(next.contents).toEqual(backup.contents);

  const changed = await Promise.all(tables.map((table) => target.rows(table)));
  await target.exec(
    `UPDATE t SET v = 100 WHERE id::text = 'a'; DELETE FROM inner_key; DELETE FROM large WHERE n < 9;
     INSERT INTO t VALUES ('z', 5)`,
  );
  expect((await merge(target.source, backup, 'merge')).map(({kept}) => kept)).toContain(1);
  await merge(target.source, backup, 'replace');
  expect(await Promise.all(tables.map((table) => target.rows(table)))).toEqual(changed);
});
