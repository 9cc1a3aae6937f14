import {closeSync, openSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {Snapshot, SnapshotOptions, TableBase} from '../../../../src/sources/index.ts';
import {TakeRows} from '../../../../src/sources/index.ts';
import {SqliteSource} from '../../../../src/sources/sqlite/index.ts';
import {folder} from '../database.ts';
import {execute, takeTrees} from './records-of.ts';

async function snapshotOf(sql: string, options: Partial<SnapshotOptions> = {}, change = (_: string) => {}) {
  const path = join(folder(), 'app.db');
  execute(path, sql);
  change(path);
  const snapshot = await new SqliteSource(path).snapshot({tables: ['t'], ...options});
  onTestFinished(() => snapshot.close());
  return snapshot;
}

const namesOf = (base: TableBase) =>
  base.form === 'records' ? base.trees.map(({name, kind}) => `${name} ${kind}`) : base;

async function takeRecords(snapshot: Snapshot) {
  const base = await snapshot.base('t');
  if (base.form !== 'records') throw new Error(base.reason);
  return takeTrees(base.trees);
}

test('the trees of a table are its own and its indexes; those with a statement may be left out', async () => {
  const sql = `CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b); CREATE INDEX t_b ON t (b);
    CREATE INDEX t_c ON t (b) WHERE b > 5; INSERT INTO t VALUES (1, 2, 3), (2, 3, 9)`;
  const all = await (await snapshotOf(sql)).base('t');
  expect(namesOf(all)).toEqual(['t rowid', 'sqlite_autoindex_t_1 key', 't_b key', 't_c key']);
  expect(all.form === 'records' && all.trees.map(({fingerprint}) => fingerprint?.length)).toEqual([
    ...[undefined, undefined],
    ...[32, 32],
  ]);
  const few = await (await snapshotOf(sql, {omitIndexes: true})).base('t');
  expect(namesOf(few)).toEqual(['t rowid', 'sqlite_autoindex_t_1 key']);
});

test('a table without rowid is a key tree', async () => {
  const sql = 'CREATE TABLE t (a TEXT PRIMARY KEY, b UNIQUE) WITHOUT ROWID; INSERT INTO t VALUES (1, 2)';
  const snapshot = await snapshotOf(sql);
  const taken = await takeRecords(snapshot);
  expect([...taken].map(([name, {kind, chunks}]) => [name, kind, chunks[0]!.records])).toEqual([
    ['t', 'key', 1],
    ['sqlite_autoindex_t_2', 'key', 1],
  ]);
});

/** Sets the schema format of a file's header. */
function toFormat(path: string, format: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from([format]), 0, 1, 47);
  closeSync(file);
}

test('DESC in a file whose format ignores it means rows, with the reason', async () => {
  const old = (path: string) => toFormat(path, 1);
  const descending = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE INDEX t_a ON t (a Desc)';
  for (const sql of [descending, 'CREATE TABLE t (a, PRIMARY KEY (a DESC))']) {
    const base = await (await snapshotOf(sql, {}, old)).base('t');
    expect(base).toMatchObject({form: 'rows', reason: expect.stringContaining('schema format 1')});
    expect(await (await snapshotOf(sql)).base('t')).toMatchObject({form: 'records'});
  }
  const ascending = await snapshotOf('CREATE TABLE t (id INTEGER PRIMARY KEY, "desc.")', {}, old);
  expect(await ascending.base('t')).toMatchObject({form: 'records'});
});

test.each([
  [
    'a row of more than 8 MiB',
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, zeroblob(8400000))',
  ],
  [
    'a key of more than 1 MiB',
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO t VALUES (1, zeroblob(1100000))',
  ],
])('%s means rows, which the same snapshot still gives', async (_, sql) => {
  const snapshot = await snapshotOf(sql);
  await expect(takeRecords(snapshot)).rejects.toThrow(TakeRows);
  const base = await snapshot.base('t', {form: 'rows'});
  if (base.form !== 'rows') throw new Error('not rows');
  let rows = 0;
  for await (const segment of base.rows) rows += segment.rows;
  expect(rows).toBe(1);
});

test('the records of a table are taken once: then it gives rows', async () => {
  const snapshot = await snapshotOf('CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)');
  await takeRecords(snapshot);
  expect(await snapshot.base('t')).toMatchObject({form: 'rows', reason: expect.any(String)});
});

test('bytes are estimated from a few pages, and a consumer may stop in the middle', async () => {
  const snapshot = await snapshotOf(`CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE INDEX t_a ON t (a);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
      INSERT INTO t SELECT i, hex(randomblob(10)), zeroblob(CASE i % 1000 WHEN 0 THEN 9000 ELSE 200 END) FROM n`);
  const base = await snapshot.base('t');
  if (base.form !== 'records') throw new Error(base.reason);
  let bytes = 0;
  for await (const segment of base.trees[0]!.records) {
    bytes += segment.bytes.length;
    if (bytes > 2_000_000) break;
  }
  const [estimated, actual] = [await snapshot.estimatedBytes('t'), 30_000 * (200 + 9 + 20 * 2 + 17)];
  expect(estimated).toBeGreaterThan(actual / 2);
  expect(estimated).toBeLessThan(actual * 2);
});
