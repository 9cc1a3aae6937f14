import {expect, onTestFinished, test} from 'vitest';
import {restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

// The text of a row may change although nothing writes to the row: an increment must have it too.
test.each([
  ['a renamed table that a regclass names', 'regclass', "'beside'", 'ALTER TABLE beside RENAME TO renamed'],
  ['another attribute of a composite type', 'pair', 'ROW(1, 2)::pair', 'ALTER TYPE pair ADD ATTRIBUTE third int'],
  ['another attribute, in an array', 'pair[]', 'ARRAY[ROW(1, 2)::pair]', 'ALTER TYPE pair ADD ATTRIBUTE third int'],
  [
    'a renamed value of an enum in a type',
    'holder',
    "ROW('sad')::holder",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
  ],
])('an increment has the rows as they are after %s', async (_, type, value, change) => {
  const database = await cluster().create();
  const target = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(`CREATE TABLE beside (id int); CREATE TYPE pair AS (first int, second int);
    CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE holder AS (mood mood);
    CREATE TABLE t (id int PRIMARY KEY, v ${type}); INSERT INTO t SELECT i, ${value} FROM generate_series(1, 9) i`);
  const tables = ['public.t'];
  const full = await takeFull(database.source, {tables, track: {owner: 'c'}});
  await database.exec(`${change}; UPDATE t SET id = 10 WHERE id = 1`);
  const increment = await takeIncrement(database.source, 'c', full);
  if (type === 'regclass') await target.exec('CREATE TABLE renamed (id int)');
  await restore(target.source, increment);
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  expect((await database.rows('t')).length).toBe(9);
});
