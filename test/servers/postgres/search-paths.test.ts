import {expect, test} from 'vitest';
import {fillStaging, merge, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

// Functions that name others without a schema work in a restore by the search path of the backup. Since version 17, the
// server builds indexes and refreshes materialized views with an empty one.

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};

const schema = `CREATE SCHEMA app; SET search_path = app, public;
  CREATE FUNCTION inner_fn(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
  CREATE FUNCTION outer_fn(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN inner_fn($1); END';
  CREATE TABLE public.t (id int PRIMARY KEY, v int CHECK (outer_fn(v) > 0),
    g int GENERATED ALWAYS AS (outer_fn(id)) STORED);
  CREATE INDEX i ON public.t (outer_fn(v)); CREATE UNIQUE INDEX u ON public.t (v) WHERE outer_fn(v) > 4;
  CREATE INDEX plain ON public.t (v); INSERT INTO public.t VALUES (1, 1), (2, 2), (3, 7);`;

async function restored(version: keyof typeof clusters, more = '') {
  const {database, target} = await filledAndEmpty(clusters[version](), `${schema} ${more}`);
  const missing: {name: string; why: string}[] = [];
  await database.exec(`ALTER DATABASE ${database.name} SET search_path = app, public`);
  const full = await takeFull(database.source, {tables: ['public.t'], objects: true});
  const staging = await fillStaging(target.source, full);
  await staging.publish({missing: (part) => missing.push(part)});
  await staging.discard();
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  return {database, target, full, missing};
}

const indexes = "(SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'public.t'::regclass)";

test('version 15: everything comes, also a materialized view', async () => {
  const {target, missing} = await restored(15, 'CREATE MATERIALIZED VIEW public.m AS SELECT outer_fn(id) FROM t');
  expect(missing).toEqual([]);
  expect(await target.rows(indexes)).toEqual(['(i)', '(plain)', '(t_pkey)', '(u)']);
  expect(await target.rows('public.m')).toEqual(['(2)', '(3)', '(4)']);
});

test('version 18: all comes but the indexes that the server cannot build, which are named', async () => {
  const {target, missing} = await restored(18);
  const why = (kind: string) =>
    expect.stringMatching(
      new RegExp(`inner_fn.* does not exist; the server builds .*search_path.*; CREATE ${kind} .*; tries again$`, 'u'),
    );
  expect(missing.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
    {name: 'the index i of public.t', why: why('INDEX "i"')},
    {name: 'the index u of public.t', why: why('UNIQUE INDEX "u"')},
  ]);
  expect(await target.rows(indexes)).toEqual(['(plain)', '(t_pkey)']);
  await target.exec('ALTER FUNCTION app.outer_fn SET search_path = app');
  for (const part of missing) await target.exec(/; (CREATE .*;) tries again$/u.exec(part.why)![1]!);
  expect(await target.rows(indexes)).toEqual(['(i)', '(plain)', '(t_pkey)', '(u)']);
});

test.each([15, 18] as const)('MODE finds them, too (%i)', async (version) => {
  const {database, full} = await restored(version);
  const rows = await database.rows('t');
  await database.exec('UPDATE t SET v = 9 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (5, 5)');
  expect(await merge(database.source, full, 'replace')).toMatchObject([{inserted: 1, updated: 1, deleted: 1}]);
  expect(await database.rows('t')).toEqual(rows);
});

test.each([15, 18] as const)('MODE loads rows whose domains and partitions need them (%i)', async (version) => {
  const {database} = await filledAndEmpty(
    clusters[version](),
    `${schema} CREATE DOMAIN public.d AS int CHECK (outer_fn(value) > 0);
     CREATE TABLE public.p (id d, n regclass) PARTITION BY LIST (outer_fn(id));
     CREATE TABLE public.p2 PARTITION OF public.p FOR VALUES IN (2);
     CREATE TABLE public.pd PARTITION OF public.p DEFAULT;
     CREATE TABLE public.k (id d PRIMARY KEY, n regclass);
     INSERT INTO public.p VALUES (1, 't'), (2, 'p'); INSERT INTO public.k SELECT * FROM public.p`,
  );
  await database.exec(`ALTER DATABASE ${database.name} SET search_path = app, public`);
  const tables = ['public.k', 'public.p'];
  const full = await takeFull(database.source, {tables});
  const rows = await Promise.all(tables.map((table) => database.rows(table)));
  await database.exec('DELETE FROM p; UPDATE k SET n = NULL');
  await merge(database.source, full, 'replace');
  expect(await Promise.all(tables.map((table) => database.rows(table)))).toEqual(rows);
});
