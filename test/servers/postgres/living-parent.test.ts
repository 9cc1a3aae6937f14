import {expect, onTestFinished, test} from 'vitest';
import {fillStaging, loadStaging, takeFull} from '../../sources/layers.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

const created = async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  return database;
};

const parents = `
  CREATE TABLE a (id int PRIMARY KEY, v text NOT NULL CHECK (v <> ''));
  CREATE TABLE b (w int, CONSTRAINT few CHECK (w < 100));
  INSERT INTO a VALUES (1, 'own'); INSERT INTO b VALUES (1)`;
const child = `
  CREATE TABLE c (extra int, PRIMARY KEY (id)) INHERITS (a, b);
  INSERT INTO c SELECT g, 'child', g % 9, g FROM generate_series(10, 200) g`;

/** Of a backup of all three tables, what a restore of the child alone takes. */
async function backupOfChild() {
  const database = await created();
  await database.exec(`${parents}; ${child}`);
  const all = await takeFull(database.source, {tables: ['public.a', 'public.b', 'public.c']});
  const name = 'public.c';
  const schemas = all.schemas.filter((schema) => schema.name === name);
  const contents = new Map([...all.contents].filter(([table]) => table === name));
  return {database, backup: {...all, schemas, contents, layers: {[name]: all.layers[name]!}}};
}

test('rows of a restored child are in no query of its living parents before it is published', async () => {
  const {database, backup} = await backupOfChild();
  const target = await created();
  await target.exec(parents);
  const staging = await fillStaging(target.source, backup);
  for (const table of ['a', 'b']) expect((await target.rows(table)).length, table).toBe(1);
  await staging.publish({});
  await staging.discard();
  for (const table of ['a', 'b', 'c']) expect(await target.rows(table), table).toEqual(await database.rows(table));
  const inherits = "(SELECT inhparent::regclass, inhseqno FROM pg_inherits WHERE inhrelid = 'c'::regclass)";
  expect(await target.rows(inherits)).toEqual(await database.rows(inherits));
  await target.exec("ALTER TABLE a ADD late int; INSERT INTO c VALUES (300, 'new', 3, 3, 3)");
  await expect(target.exec("INSERT INTO c VALUES (301, 'new', 100, 3)")).rejects.toThrow('few');
});

test('a restore that is given up leaves nothing in living parents, also one with MODE', async () => {
  const {backup} = await backupOfChild();
  for (const mode of [undefined, 'merge'] as const) {
    const target = await created();
    await target.exec(mode === undefined ? parents : `${parents}; ${child}; DELETE FROM c WHERE id > 15`);
    const before = await target.rows('a');
    const staging = await loadStaging(target.source, backup, 'test', mode);
    expect(await target.rows('a'), String(mode)).toEqual(before);
    await staging.discard();
    expect(await target.rows('a'), String(mode)).toEqual(before);
  }
});

test('a child whose rows its living parent does not allow any more comes back without it, which is named', async () => {
  const {database, backup} = await backupOfChild();
  const target = await created();
  await target.exec(`${parents}; ALTER TABLE b ADD CONSTRAINT other CHECK (w <> 7)`);
  const missing: unknown[] = [];
  const staging = await fillStaging(target.source, backup);
  await staging.publish({missing: (one) => missing.push(one)});
  await staging.discard();
  expect(await target.rows('c')).toEqual(await database.rows('c'));
  expect(missing).toMatchObject([{name: 'the inheritance of public.c', why: expect.stringContaining('INHERIT')}]);
});
