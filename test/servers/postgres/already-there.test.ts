import {expect, test} from 'vitest';
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
    'a row type with other columns',
    "CREATE TYPE d AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, v d); INSERT INTO t VALUES (1, '(1,x)')",
    'CREATE TYPE d AS (a int)',
    /^rows of public\.t do not fit what the target has: malformed record literal: "\(1,x\)"$/u,
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
