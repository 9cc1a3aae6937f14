import {copyFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {folder} from '../sources/sqlite/database.ts';
import {bytesOf, execute, newChunks, recordsOf} from '../sources/sqlite/pages/records-of.ts';

const mebibyte = 1024 * 1024;

/** 40 hexadecimal digits in no order, the same ones each time: where the cuts are depends on the keys. */
const digits = [2654435761, 2246822519, 3266489917, 668265263, 374761393].map(
  (factor) => `(i * ${factor}) % 4294967296`,
);
/** 60,000 rows of about 150 bytes, and an index of them. */
const rows = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
  INSERT INTO t SELECT i * 3, printf('%08x%08x%08x%08x%08x', ${digits.join(', ')}), zeroblob(90) FROM n`;
const ordinary = `CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, filler BLOB); CREATE INDEX t_k ON t (k); ${rows}`;
const withoutRowid = `CREATE TABLE t (id INTEGER, k TEXT, filler BLOB, PRIMARY KEY (k, id)) WITHOUT ROWID;
  CREATE INDEX t_k ON t (id, k); ${rows}`;

function newDatabase(sql: string, pragmas = ''): {path: string; source: SqliteSource} {
  const path = join(folder(), 'app.db');
  execute(path, `${pragmas}; ${sql}`);
  return {path, source: new SqliteSource(path)};
}

describe.each([
  ['a rowid table', ordinary],
  ['a table without rowid', withoutRowid],
])('%s and its index', (_, sql) => {
  test('are the same chunks again in the same file, after VACUUM, and in a copy with other pages', async () => {
    const {path, source} = newDatabase(sql, 'PRAGMA page_size = 4096');
    const first = await recordsOf(source, 't');
    expect(first.get('t')!.chunks.length).toBeGreaterThan(3);
    // Not even half of a first base's cuts are where pages end.
    const copy = join(folder(), 'copy.db');
    copyFileSync(path, copy);
    execute(copy, 'PRAGMA page_size = 1024; VACUUM');
    execute(path, 'DELETE FROM t WHERE id % 2 = 0; INSERT INTO t SELECT -id, k, filler FROM t WHERE id % 7 = 0');
    const grown = await recordsOf(source, 't', {previous: first});
    execute(path, 'VACUUM');
    const packed = await recordsOf(source, 't', {previous: grown});
    const copied = await recordsOf(new SqliteSource(copy), 't', {previous: first});
    for (const name of ['t', 't_k']) {
      expect(packed.get(name)).toEqual({...packed.get(name), cuts: grown.get(name)!.cuts});
      expect(newChunks(packed.get(name)!, grown.get(name)!)).toBe(0);
      expect(packed.get(name)!.chunks.length).toBe(grown.get(name)!.chunks.length);
      expect(newChunks(copied.get(name)!, first.get(name)!)).toBe(0);
      expect(copied.get(name)!.chunks.map(({previous}) => previous)).toEqual([...first.get(name)!.chunks.keys()]);
    }
  });

  test.each([
    ['an insert', `INSERT INTO t VALUES (20000, 'new', NULL)`],
    ['an update', `UPDATE t SET filler = 'changed' WHERE id = 30000`],
    ['a delete', 'DELETE FROM t WHERE id = 60000'],
  ])('change in few chunks by %s, and nothing is lost', async (_, change) => {
    const {path, source} = newDatabase(sql);
    const first = await recordsOf(source, 't');
    execute(path, change);
    const second = await recordsOf(source, 't', {previous: first});
    for (const name of ['t', 't_k']) {
      const known = first.get(name)!;
      expect(newChunks(second.get(name)!, known)).toBeLessThanOrEqual(2);
      // What is new says which chunk it resembles.
      for (const {bytes, previous} of second.get(name)!.chunks) {
        if (previous !== undefined)
          expect(Math.abs(bytes.length - known.chunks[previous]!.bytes.length)).toBeLessThan(200);
      }
    }
    const afresh = await recordsOf(source, 't');
    for (const name of ['t', 't_k']) expect(bytesOf(second.get(name)).equals(bytesOf(afresh.get(name)))).toBe(true);
  });
});

describe('chunks of a rowid table', () => {
  test('have about a mebibyte when rows with overflow pages make a range large', async () => {
    const {path, source} = newDatabase(`CREATE TABLE t (id INTEGER PRIMARY KEY, b);
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
        INSERT INTO t SELECT i, randomblob(100000) FROM n; INSERT INTO t VALUES (1000, randomblob(5000000))`);
    const first = await recordsOf(source, 't');
    const {chunks} = first.get('t')!;
    expect(chunks.length).toBeGreaterThan(8);
    for (const {bytes, records} of chunks) if (records > 1) expect(bytes.length).toBeLessThanOrEqual(2 * mebibyte);
    expect(chunks.filter(({bytes}) => bytes.length > 2 * mebibyte)).toHaveLength(1);
    execute(path, 'UPDATE t SET b = randomblob(100000) WHERE id = 60; VACUUM');
    const second = await recordsOf(source, 't', {previous: first});
    expect(newChunks(second.get('t')!, first.get('t')!)).toBe(1);
  });

  test('grow at the end, where rows are appended, and join where rows are deleted', async () => {
    const {path, source} = newDatabase(ordinary);
    const first = await recordsOf(source, 't');
    execute(path, `INSERT INTO t SELECT id + 1000000, k, filler FROM t`);
    const second = await recordsOf(source, 't', {previous: first});
    expect(newChunks(first.get('t')!, second.get('t')!)).toBeLessThanOrEqual(1);
    execute(path, 'DELETE FROM t WHERE id < 1000000 AND id % 100 > 0');
    const third = await recordsOf(source, 't', {previous: second});
    const small = third.get('t')!.chunks.filter(({bytes}) => bytes.length < mebibyte / 8);
    expect(small.length).toBeLessThanOrEqual(1);
    const again = await recordsOf(source, 't', {previous: third});
    expect(again).toEqual(
      new Map([...third].map(([name, tree]) => [name, {...tree, chunks: again.get(name)!.chunks}])),
    );
    expect(newChunks(again.get('t')!, third.get('t')!)).toBe(0);
  });

  test('hold every rowid of 64 bits once', async () => {
    const {source, path} = newDatabase(`CREATE TABLE t (id INTEGER PRIMARY KEY, b);
      INSERT INTO t VALUES (-9223372036854775808, 1), (-9223372036854775807, 2), (-1, 3), (0, 4), (1, 5),
        (9223372036854775806, 6), (9223372036854775807, zeroblob(3000000));
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO t SELECT random(), zeroblob(1500) FROM n`);
    const first = await recordsOf(source, 't');
    expect(first.get('t')!.chunks.reduce((sum, {records}) => sum + records, 0)).toBe(3007);
    const second = await recordsOf(source, 't', {previous: first});
    expect(second.get('t')!.cuts).toBe(first.get('t')!.cuts);
    expect(newChunks(second.get('t')!, first.get('t')!)).toBe(0);
    execute(path, 'DELETE FROM t WHERE id > -9223372036854775808');
    const third = await recordsOf(source, 't', {previous: second});
    expect(third.get('t')!.chunks.map(({records}) => records)).toEqual([1]);
    execute(path, 'DELETE FROM t');
    expect((await recordsOf(source, 't', {previous: third})).get('t')!.chunks).toEqual([]);
  });
});

test('a chunk of an index has two records at least, except the first one', async () => {
  const {source} = newDatabase(`CREATE TABLE t (id INTEGER PRIMARY KEY, b); CREATE INDEX t_b ON t (b);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
      INSERT INTO t SELECT i, randomblob(700000) FROM n`);
  const {chunks} = (await recordsOf(source, 't')).get('t_b')!;
  expect(chunks.length).toBeGreaterThan(10);
  for (const {records} of chunks.slice(1)) expect(records).toBeGreaterThan(1);
  for (const {bytes} of chunks) expect(bytes.length).toBeLessThanOrEqual(4 * mebibyte);
});

test('cuts of rows are no cuts of records: the tree is cut like a first time', async () => {
  const {source} = newDatabase(ordinary);
  const first = await recordsOf(source, 't');
  const cuts = '{"version":1,"keyParts":1,"rowsPerSegment":10,"ranges":[{"segment":0,"rows":1}]}';
  const second = await recordsOf(source, 't', {
    previous: new Map([...first].map(([name, tree]) => [name, {...tree, cuts}])),
  });
  expect(second).toEqual(first);
});
