import {expect, onTestFinished, test} from 'vitest';
import {takeFull} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';

const cluster = clusterOfFile(18);
const tables = ['public.a', 'public.b', 'public.c'];

/** Tables that refer to each other in a circle. */
const schema = `
  CREATE TABLE a (id int PRIMARY KEY, other int, pad text);
  CREATE TABLE b (id int PRIMARY KEY, other int REFERENCES a, pad text);
  CREATE TABLE c (id int PRIMARY KEY, other int REFERENCES b DEFERRABLE INITIALLY DEFERRED, pad text);
  CREATE INDEX by_pad ON c (left(pad, 5));
  INSERT INTO a SELECT g, g, repeat(md5(g::text), 30) FROM generate_series(1, 3000) g;
  INSERT INTO b SELECT g, g, repeat(md5(g::text), 30) FROM generate_series(1, 3000) g;
  INSERT INTO c SELECT g, g, repeat(md5(g::text), 30) FROM generate_series(1, 3000) g;
  ALTER TABLE a ADD CONSTRAINT circle FOREIGN KEY (other) REFERENCES c;`;

async function created(): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  return database;
}

async function staged(target: TestDatabase) {
  const database = await created();
  await database.exec(schema);
  const backup = await takeFull(database.source, {tables});
  const segments = (table: string) => {
    const [base] = backup.layers[table]!;
    return base?.kind === 'base' && base.form !== 'records' ? base.segments.map(({bytes}) => bytes) : [];
  };
  const staging = await target.source.stage(backup.schemas, {id: 'test', database: backup.database});
  return {database, staging, segments};
}

test('tables are loaded at the same time, more of them in turn, and get the same rows, indexes and keys', async () => {
  const target = await created();
  const {database, staging, segments} = await staged(target);
  expect(staging.concurrency).toBe(2);
  // Three tables take turns on two connections.
  for (let at = 0; at < segments('public.a').length; at++) {
    await Promise.all(['public.a', 'public.b'].map((table) => staging.load(table, segments(table)[at]!)));
    await staging.load('public.c', segments('public.c')[at]!);
  }
  await staging.complete!('public.a', new AbortController().signal);
  expect(await staging.finish({check: 'full'})).toEqual(tables.map((name) => ({name, rows: 3000})));
  await staging.publish({});
  await staging.discard();
  for (const table of tables) expect(await target.rows(table)).toEqual(await database.rows(table));
  const keys = `(SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated
    FROM pg_constraint WHERE contype IN ('f', 'p') AND connamespace = 'public'::regnamespace)`;
  expect(await target.rows(keys)).toEqual(await database.rows(keys));
  expect(await target.rows('(SELECT indexdef FROM pg_indexes WHERE schemaname = $$public$$)')).toHaveLength(4);
});

test('rows that a primary key forbids fail the restore, and nothing is left', async () => {
  const target = await created();
  const {staging, segments} = await staged(target);
  for (const table of ['public.a', 'public.b', 'public.a']) {
    for (const segment of segments(table)) await staging.load(table, segment);
  }
  await expect(staging.finish({check: 'quick'})).rejects.toThrow(/a_pkey/u);
  await staging.discard();
  expect(await target.rows("(SELECT nspname FROM pg_namespace WHERE nspname LIKE '_bkp%')")).toEqual([]);
  const others =
    "(SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ 'restore')";
  expect(await target.rows(others)).toEqual([]);
});
