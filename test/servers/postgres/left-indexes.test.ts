import {expect, test} from 'vitest';
import {fillStaging, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

// The server builds an index again in a restore, with the functions of today. Those may refuse rows that are there.

const cluster = clusterOfFile();

test('rows come back without the indexes that they do not allow any more, and the result names these', async () => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
     CREATE TABLE t (id int PRIMARY KEY, v int CONSTRAINT vu UNIQUE,
       CONSTRAINT "Ex cl" EXCLUDE USING gist (int4range(f(v), f(v), '[]') WITH &&));
     INSERT INTO t SELECT i, i FROM generate_series(0, 9) i;
     CREATE UNIQUE INDEX u1 ON t (f(v)); CREATE INDEX i1 ON t ((10 / f(v))) WHERE v > 0; CREATE INDEX i2 ON t (v);
     CREATE TABLE c (id int PRIMARY KEY, v int REFERENCES t (v)); INSERT INTO c VALUES (1, 3);
     CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 3'`,
  );
  const full = await takeFull(database.source, {tables: ['public.t', 'public.c']});
  const missing: {name: string; why: string}[] = [];
  const staging = await fillStaging(target.source, full);
  await staging.publish({missing: (part) => missing.push(part)});
  await staging.discard();
  for (const name of ['t', 'c']) expect(await target.rows(name)).toEqual(await database.rows(name));
  expect(missing.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
    {
      name: 'the constraint Ex cl of public.t',
      why: expect.stringMatching(/exclusion.*; ALTER TABLE .*; tries again$/u),
    },
    {
      name: 'the index i1 of public.t',
      why: expect.stringMatching(/^division by zero; CREATE INDEX "i1" .*; tries again$/u),
    },
    {name: 'the index u1 of public.t', why: expect.stringMatching(/u1.*; CREATE UNIQUE INDEX "u1" .*; tries again$/u)},
  ]);
  const indexes = "(SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 't'::regclass)";
  expect(await target.rows(indexes)).toEqual(['(i2)', '(t_pkey)', '(vu)']);
  const statements = missing.map(({why}) => /; ((?:ALTER|CREATE) .*;) tries again$/u.exec(why)![1]!);
  for (const sql of statements) await expect(target.exec(sql)).rejects.toThrow(/unique|exclusion|zero/u);
  await target.exec(`CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'`);
  for (const sql of statements) await target.exec(sql);
});
