import {expect, onTestFinished, test} from 'vitest';
import {takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

// A writer with session_replication_role = replica leaves what no restore can bring back: a backup must not be good.
test.each([
  ['PRIMARY KEY', 'id int PRIMARY KEY DEFERRABLE, v int', '(1, 7)'],
  ['UNIQUE', 'id int PRIMARY KEY, v int UNIQUE DEFERRABLE INITIALLY DEFERRED', '(7, 1)'],
  ['UNIQUE over two columns', 'id int PRIMARY KEY, v int, "W 2" int DEFAULT 5, UNIQUE (v, "W 2") DEFERRABLE', '(7, 1)'],
  [
    'UNIQUE NULLS NOT DISTINCT',
    'id int PRIMARY KEY, v int, w int GENERATED ALWAYS AS (nullif(id % 10, 7)) STORED ' +
      'UNIQUE NULLS NOT DISTINCT DEFERRABLE',
    '(7, 1), (17, 1)',
  ],
])('rows with the same values of a deferrable %s are an error that finds them', async (_, columns, row) => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE TABLE "T t" (${columns}); INSERT INTO "T t" VALUES (1, 1), (2, 2), (3, NULL), (4, NULL)`);
  const tables = ['public."T t"'];
  const full = await takeFull(database.source, {tables, track: {owner: 'c'}});
  await database.exec(`SET session_replication_role = replica; INSERT INTO "T t" VALUES ${row}`);
  const refused = {code: 'SOURCE_DAMAGED', message: expect.stringContaining('two rows of table public."T t"')};
  await expect(takeIncrement(database.source, 'c', full)).rejects.toMatchObject(refused);
  const error = await takeFull(database.source, {tables}).catch((found: unknown) => found);
  expect(error).toMatchObject(refused);
  const [query] = (error as {next: string}).next.split(';');
  expect(await database.rows(`(${query})`)).toHaveLength(1);
  await database.exec('SET session_replication_role = replica; DELETE FROM "T t" WHERE 7 IN (id, v)');
  await takeIncrement(database.source, 'c', full);
});
