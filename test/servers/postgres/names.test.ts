import {expect, onTestFinished, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

test('names as the server quotes them mean one table each, also among tables whose own names have a dot', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE SCHEMA z; CREATE TABLE z.b (id int PRIMARY KEY, of_z int);
    CREATE TABLE public."z.b" (id int PRIMARY KEY, of_public int); CREATE TABLE "Mixed" (id int PRIMARY KEY);`);
  const {source} = database;
  const names = ['z.b', 'public."z.b"', 'public."Mixed"'];
  expect((await source.describe('all')).map(({name}) => name).toSorted()).toEqual(names.toSorted());
  const facts = names.map((name) => ({name, state: 'present'}));
  expect(await source.describe(names)).toEqual(facts);
  for (const one of facts) expect(await source.describe([one.name])).toEqual([one]);
  // As a user writes them, beside others.
  const asked = ['Z.B', 'z.b', 'nothing', 'Mixed', 'public."z.b"'];
  expect(await source.describe(asked)).toEqual([
    {name: 'z.b', state: 'present'},
    {name: 'z.b', state: 'present'},
    {name: 'nothing', state: 'absent'},
    {name: 'public."Mixed"', state: 'present'},
    {name: 'public."z.b"', state: 'present'},
  ]);
  const snapshot = await source.snapshot({tables: names});
  onTestFinished(() => snapshot.close());
  const columns = snapshot.schemas.map(({name, definition}) => [name, definition.columns]);
  expect(columns).toEqual([
    ['z.b', [expect.stringContaining('id'), expect.stringContaining('of_z')]],
    ['public."z.b"', [expect.stringContaining('id'), expect.stringContaining('of_public')]],
    ['public."Mixed"', [expect.stringContaining('id')]],
  ]);
});
