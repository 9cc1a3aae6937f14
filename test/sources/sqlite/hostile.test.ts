import {statSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {type Backup, fillStaging, restore, takeFull} from '../layers.ts';
import {Database, filesIn, folder} from './database.ts';

/** Anyone who may write to the store can write a manifest: a restore must run nothing harmful from it. */

const endless = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n';

async function backup(definition: Record<string, unknown>): Promise<Backup> {
  const database = new Database('CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 2)');
  const taken = await takeFull(database.source, {tables: ['t']});
  const [schema] = taken.schemas;
  const changed = {...schema!, definition: {...schema!.definition, ...definition}} as Backup['schemas'][number];
  return {...taken, schemas: [changed]};
}

const hostile: Record<string, Record<string, unknown>> = {
  'a table made of an endless query': {table: `CREATE TABLE t AS ${endless}`},
  'a table made of rows': {table: 'CREATE TABLE t AS VALUES (1)'},
  'another table': {table: 'CREATE TABLE other (k INTEGER PRIMARY KEY, a)'},
  'a table elsewhere': {table: 'CREATE TABLE temp.t (k INTEGER PRIMARY KEY, a)'},
  'an index on a table that exists': {indexes: ['CREATE INDEX i ON precious (a)']},
  'a trigger on a table that exists': {
    triggers: ['CREATE TRIGGER tr AFTER INSERT ON precious BEGIN DELETE FROM precious; END'],
  },
};

for (const [name, definition] of Object.entries(hostile)) {
  test(`${name} is refused, and nothing changes`, async () => {
    const evil = await backup(definition);
    const path = join(folder(), 'new.db');
    await expect(restore(new SqliteSource(path), evil)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    expect(filesIn(join(path, '..'))).toEqual([]);
    const target = new Database('CREATE TABLE precious (a); INSERT INTO precious VALUES (1)');
    const before = target.db.prepare('SELECT * FROM sqlite_schema').all();
    await expect(restore(target.source, evil)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    expect(target.db.prepare('SELECT * FROM sqlite_schema').all()).toEqual(before);
  });
}

test('a second statement after the first does not run', async () => {
  const evil = await backup({
    triggers: [
      "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END; ATTACH 'evil.db' AS evil; DROP TABLE precious",
    ],
  });
  const target = new Database('CREATE TABLE precious (a); INSERT INTO precious VALUES (1)');
  await restore(target.source, evil);
  expect(target.value('SELECT count(*) FROM precious')).toBe(1);
});

test.each([
  ['a gigabyte a row', 'CREATE INDEX i ON t (zeroblob(999999999))'],
  ['much more than there are rows', `CREATE INDEX i ON t (replace(zeroblob(9000000), x'00', x'0101' || k))`],
  ['in a generated column', 'CREATE INDEX i ON t (g)'],
])('an index that computes %s is left out, and fills no disk', async (_, sql) => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a, g AS (zeroblob(9000000 + k)));
    INSERT INTO t (a) SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12]')`);
  const taken = await takeFull(database.source, {tables: ['t']});
  const [schema] = taken.schemas;
  const evil = {...taken, schemas: [{...schema!, definition: {...schema!.definition, indexes: [sql]}}]};
  const target = new Database('');
  const notices: string[] = [];
  const staging = await fillStaging(target.source, evil, 'test', (text) => notices.push(text));
  expect(
    statSync(join(target.path, '..', filesIn(join(target.path, '..')).find((name) => name.includes('stage'))!)).size,
  ).toBeLessThan(1e6);
  await staging.publish({});
  expect(notices.join()).toMatch(/index of t is left out/);
  expect(target.value('SELECT count(a) FROM t')).toBe(12);
});
