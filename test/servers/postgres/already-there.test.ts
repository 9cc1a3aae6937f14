import {expect, test} from 'vitest';
import type {BkpError} from '../../../src/errors/index.ts';
import {restore, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

const cluster = clusterOfFile(18);

test.each([
  [
    'a domain that refuses values',
    'CREATE DOMAIN d AS int; CREATE TABLE t (id int PRIMARY KEY, v d); INSERT INTO t VALUES (1, -5)',
    'CREATE DOMAIN d AS int CONSTRAINT above CHECK (VALUE > 0)',
    /^rows of public\.t do not fit what the target has: value for domain public\.d violates check constraint "above"$/u,
  ],
  [
    'a function with another result',
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';" +
      'CREATE TABLE t (id int PRIMARY KEY, v int DEFAULT f())',
    "CREATE FUNCTION f() RETURNS point LANGUAGE sql AS 'SELECT point(1, 2)'",
    /^what the target has does not fit the backup: column "v" is of type integer but default expression is of type/u,
  ],
])('a restore says that the target has %s', async (_, schema, there, message) => {
  const {database, target} = await filledAndEmpty(cluster(), schema);
  await target.exec(there);
  const backup = await takeFull(database.source, {tables: ['public.t']});
  await expect(restore(target.source, backup)).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringMatching(message),
    next: expect.stringMatching(/^restore into an empty database with --source/u),
  });
  expect(await target.rows("(SELECT nspname FROM pg_namespace WHERE nspname ~ '^_bkp')")).toEqual([]);
});

const table = (type: string, value: string) =>
  `CREATE TABLE t (id int PRIMARY KEY, v ${type}); INSERT INTO t VALUES (1, '${value}')`;

test.each([
  [
    'a row type with its columns in another order',
    `CREATE TYPE d AS (street text, city text); ${table('d', '(Main Street,Bern)')}`,
    'CREATE TYPE d AS (city text, street text)',
    'the type public.d of the target is (city text, street text), that of the backup is (street text, city text)',
  ],
  [
    'a row type with other columns',
    `CREATE TYPE d AS (a int, b text); ${table('d', '(1,x)')}`,
    'CREATE TYPE d AS (a int)',
    'the type public.d of the target is (a integer), that of the backup is (a integer, b text)',
  ],
  [
    'a row type that rounds, with an unusual name',
    `CREATE TYPE "a ""type""" AS ("AS (" numeric(8,2)); ${table('"a ""type"""', '(1.25)')}`,
    'CREATE TYPE "a ""type""" AS ("AS (" numeric(8,0))',
    'the type public.a "type" of the target is ("AS (" numeric(8,0)), that of the backup is ("AS (" numeric(8,2))',
  ],
  [
    'a domain that rounds',
    `CREATE DOMAIN d AS numeric(8,2) CHECK (VALUE > 0); ${table('d', '1.25')}`,
    'CREATE DOMAIN d AS numeric(8,0) CHECK (VALUE > 0)',
    'the domain public.d of the target is numeric(8,0), that of the backup is numeric(8,2)',
  ],
  [
    'a range of another type',
    `CREATE TYPE d AS RANGE (SUBTYPE = numeric); ${table('d', '[1.25,2)')}`,
    'CREATE TYPE d AS RANGE (SUBTYPE = float4)',
    'the type public.d of the target is a range of real, that of the backup is a range of numeric',
  ],
])('a restore is refused, and nothing is loaded, where the target has %s', async (_, schema, there, message) => {
  const {database, target} = await filledAndEmpty(cluster(), schema);
  await target.exec(there);
  const backup = await takeFull(database.source, {tables: ['public.t']});
  const refusal = await restore(target.source, backup).then(
    () => undefined,
    (error: BkpError) => error,
  );
  expect(refusal).toMatchObject({code: 'PRECONDITION', message});
  expect(await target.rows("(SELECT nspname FROM pg_namespace WHERE nspname ~ '^_bkp')")).toEqual([]);
  // The next step works.
  const [rename] = /ALTER .*/u.exec(String(refusal!.next)) ?? [];
  if (rename === undefined) return;
  await target.exec(rename);
  await restore(target.source, backup);
  expect(await target.rows('t')).toEqual(await database.rows('t'));
});

test.each([
  ['domain that has lost its limit', 'CREATE DOMAIN d AS varchar(20)', 'CREATE DOMAIN d AS text', 'abc'],
  ['domain with another check', 'CREATE DOMAIN d AS int CHECK (VALUE > 0)', 'CREATE DOMAIN d AS int', '5'],
  [
    'same row type',
    'CREATE TYPE d AS (a varchar(3), b int[])',
    'CREATE TYPE d AS (a varchar(3), b int[])',
    '(x,"{1,2}")',
  ],
  ['same range', 'CREATE TYPE d AS RANGE (SUBTYPE = text)', 'CREATE TYPE d AS RANGE (SUBTYPE = text)', '[a,b)'],
])('a restore into a target with the %s of the backup brings the rows', async (_, type, there, value) => {
  const {database, target} = await filledAndEmpty(cluster(), `${type}; ${table('d', value)}`);
  await target.exec(there);
  await restore(target.source, await takeFull(database.source, {tables: ['public.t']}));
  expect(await target.rows('t')).toEqual(await database.rows('t'));
});

test('a type of the target that the restored table does not use may be another one', async () => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE TYPE d AS (a int, b text); ${table('d', '(1,x)')};
    CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (7)`,
  );
  await target.exec('CREATE TYPE d AS (b text)');
  const backup = await takeFull(database.source, {tables: ['public.other', 'public.t']});
  const other = 'public.other';
  const schemas = backup.schemas.filter(({name}) => name === other);
  await restore(target.source, {...backup, schemas, layers: {[other]: backup.layers[other]!}});
  expect(await target.rows('other')).toEqual(['(7)']);
});
