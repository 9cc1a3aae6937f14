import {expect, onTestFinished, test} from 'vitest';
import {PageFault} from '../../../../src/sources/sqlite/pages/page-fault.ts';
import {PageThreads} from '../../../../src/sources/sqlite/pages/page-threads.ts';
import {TakeRows} from '../../../../src/sources/take-rows.ts';
import {Database} from '../database.ts';
import {LocalExtractor} from './extract-all.ts';
import {decodeRecords} from './extract-records.ts';
import {type KeyTree, keyRuns, mostRowid, openFiles, type RowidTree, readTree, rowidRuns} from './extract-trees.ts';

const mebibyte = 1024 * 1024;

/** Table `t` with an index `i`, on two threads. */
function open({schema = 'CREATE TABLE t (a); CREATE INDEX i ON t (a)', rows = '', threads = 2} = {}) {
  const database = new Database(schema);
  database.exec(rows);
  const {files, close} = openFiles(database.path);
  onTestFinished(close);
  const pageThreads = new PageThreads(files, {threads});
  onTestFinished(() => pageThreads.close());
  const root = (name: string) =>
    Number(database.db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(name)!.rootpage);
  return {
    files,
    threads: pageThreads,
    table: readTree(files, root('t')) as RowidTree,
    index: readTree(files, root('i')) as KeyTree,
  };
}

const manyRows = (count: number, value: string) =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
     INSERT INTO t SELECT ${value} FROM n`;

test('threads extract the same as this one, with more runs than slots', async () => {
  const {files, threads, table, index} = open({rows: manyRows(20_000, `'text ' || i`)});
  const ends = Array.from({length: 40}, (_, n) => (n === 39 ? mostRowid : BigInt(n + 1) * 501n));
  const rowid = rowidRuns(table, ends);
  const key = keyRuns(index, [3, 10, 11, 50, index.leaves.length], {hashed: 'tail', mask: 63});
  const local = new LocalExtractor({...files, visited: new SharedArrayBuffer(files.visited.byteLength)});
  const extractions = [...rowid, ...key].map((run) => ({run, extracting: threads.extract(run)}));
  for (const {run, extracting} of extractions) {
    const {bytes, records, marks, lastQualifies, lastAt, release} = await extracting;
    const expected = local.part(run);
    expect(expected.bytes.equals(bytes)).toBe(true);
    expect(records).toBe(expected.records);
    const of = run.kind === 'rowid' ? undefined : expected;
    expect({marks: marks && [...marks], lastQualifies, lastAt}).toEqual({
      ...{marks: of?.marks, lastQualifies: of?.lastQualifies, lastAt: of?.lastAt},
    });
    release();
    // Releases nothing twice.
    release();
  }
});

test('runs wait for released slots, the rest of a run does not', async () => {
  const {threads, table} = open({rows: manyRows(25_000, 'randomblob(400)'), threads: 1});
  const [run] = rowidRuns(table, [mostRowid]);
  const first = await threads.extract(run!);
  // A thread has eight slots.
  const others = await Promise.all(Array.from({length: 7}, () => threads.extract(run!)));
  let isWaiting = true;
  const waiting = threads.extract(run!).then((extracted) => {
    isWaiting = false;
    return extracted;
  });
  const rest = await threads.extract({...run!, from: first.next});
  const restOfRest = await threads.extract({...run!, from: rest.next});
  expect(isWaiting).toBe(true);
  // What is over eight slots must be released first.
  for (const {release} of [rest, restOfRest]) release();
  await new Promise((resolve) => setImmediate(resolve));
  expect(isWaiting).toBe(true);
  first.release();
  expect(others[0]!.bytes.length).toBeGreaterThan(3.9 * mebibyte);
  expect(Buffer.compare((await waiting).bytes, others[0]!.bytes)).toBe(0);
});

test('a record of more than 4 MiB is returned alone, of more than 8 MiB makes the table be taken as rows', async () => {
  const {threads, table} = open({
    schema: 'CREATE TABLE t (a); CREATE TABLE i (a)',
    rows: `INSERT INTO t VALUES (1), (randomblob(${8 * mebibyte - 100})), (2), (zeroblob(${8 * mebibyte + 1})), (3)`,
  });
  const [start, damaged] = rowidRuns(table, [3n, mostRowid]);
  const parts: number[][] = [];
  let next: Awaited<ReturnType<typeof threads.extract>>['next'];
  do {
    const part = await threads.extract({...start!, from: next});
    parts.push([decodeRecords(part.bytes, 'rowid', 'UTF-8').length, part.bytes.length]);
    next = part.next;
  } while (next !== undefined);
  expect(parts.map(([records]) => records)).toEqual([1, 1, 1]);
  expect(parts[1]![1]).toBeGreaterThan(8 * mebibyte - 100);
  await expect(threads.extract(damaged!)).rejects.toThrow(TakeRows);
});

test('a fault keeps its page on the way from a thread, and the thread serves the next run', async () => {
  const {threads, table, index} = open({rows: manyRows(1000, 'i')});
  const run = rowidRuns(table, [mostRowid])[0]!;
  const wrong = threads.extract({...run, leaves: Uint32Array.from([index.leaves[0]!])});
  await expect(wrong).rejects.toThrow(`page ${index.leaves[0]} is not a leaf of a table`);
  await expect(wrong).rejects.toMatchObject({page: index.leaves[0]});
  await expect(wrong).rejects.toBeInstanceOf(PageFault);
  expect((await threads.extract(run)).records).toBe(1000);
});

test('an error of the system keeps its code', async () => {
  const {files, table} = open({rows: manyRows(10, 'i')});
  const threads = new PageThreads({...files, file: 1_000_000}, {threads: 1});
  onTestFinished(() => threads.close());
  await expect(threads.extract(rowidRuns(table, [mostRowid])[0]!)).rejects.toMatchObject({code: 'EBADF'});
});

test('calls that were not answered are rejected when the threads are closed', async () => {
  const {threads, table} = open({rows: manyRows(1000, 'i'), threads: 1});
  const run = rowidRuns(table, [mostRowid])[0]!;
  const calls = Promise.allSettled(Array.from({length: 6}, () => threads.extract(run)));
  await threads.close();
  expect(new Set((await calls).slice(-2).map(({status}) => status))).toEqual(new Set(['rejected']));
  await expect(threads.extract(run)).rejects.toThrow('ended');
});
