import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {PageReader} from '../../../../src/sources/sqlite/pages/page-reader.ts';
import {noPageVisited} from '../../../../src/sources/sqlite/pages/visited-pages.ts';
import fc from '../../../seeds/fast-check.ts';
import {Database} from '../database.ts';
import {LocalExtractor} from './extract-all.ts';
import {type DecodedRecord, decodeRecords, type Value} from './extract-records.ts';
import {addedColumns, contents, makeDatabase, Random, type Shape, shapeArbitrary} from './extract-tables.ts';
import {type KeyTree, keyRuns, mostRowid, openFiles, type RowidTree, readTree, rowidRuns} from './extract-trees.ts';

const mostBytes = 4 * 1024 * 1024;

/** BKP_TEST_RUNS multiplies the cases. */
const scale = Number(process.env.BKP_TEST_RUNS ?? 1);

const title = 'the records of every tree are those of SQLite, however the tree is divided into runs';
test(title, {timeout: 120_000 * scale}, () => {
  fc.assert(
    fc.property(shapeArbitrary, (shape) => {
      const folder = mkdtempSync(join(tmpdir(), 'bkp-extract-'));
      const path = join(folder, 'a.db');
      const db = makeDatabase(path, shape);
      const {files, close} = openFiles(path);
      try {
        for (const name of Object.keys(contents)) {
          // Two divisions visit every page twice.
          const extractor = () => new LocalExtractor({...files, visited: noPageVisited(files.pages)});
          const {root} = db.prepare('SELECT rootpage AS root FROM sqlite_schema WHERE name = ?').get(name)!;
          const tree = readTree(files, Number(root));
          if (tree.kind === 'rowid') {
            const all = extractor().all(rowidRuns(tree, randomRowids(tree, shape)));
            expectRecords(decodeRecords(all, 'rowid', shape.encoding), name, db);
            continue;
          }
          const hash = {hashed: name === 'w' ? 'head' : 'tail', mask: 7} as const;
          const ends = randomEnds(tree.leaves.length, new Random(shape.seed + 1));
          const of = (ends: readonly number[]) => {
            const local = extractor();
            return joined(keyRuns(tree, ends, hash).flatMap((run) => local.parts(run)));
          };
          const divided = of(ends);
          const whole = of([tree.leaves.length]);
          expectRecords(decodeRecords(divided.bytes, 'key', shape.encoding), name, db);
          expect(divided.bytes.equals(whole.bytes), 'the bytes').toBe(true);
          expect(divided.starts).toEqual(whole.starts);
        }
      } finally {
        close();
        db.close();
        rmSync(folder, {recursive: true});
      }
    }),
    {numRuns: 3 * scale},
  );
});

test('a record belongs to the run whose range holds its rowid, up to the limits of all rowids', () => {
  const rowids = [-(2n ** 63n), -(2n ** 63n) + 1n, -2n, -1n, 0n, 1n, 2n, 1000n, mostRowid - 1n, mostRowid];
  const database = new Database('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  const insert = database.db.prepare('INSERT INTO t VALUES (?)');
  for (const rowid of rowids) insert.run(rowid);
  const {files, close} = openFiles(database.path);
  onTestFinished(close);
  const {root} = database.db.prepare(`SELECT rootpage AS root FROM sqlite_schema WHERE name = 't'`).get()!;
  const tree = readTree(files, Number(root)) as RowidTree;
  const extractor = new LocalExtractor(files);
  for (const ends of [rowids, rowids.slice(1), [-1n, 500n, mostRowid], [mostRowid]]) {
    const ranges = rowidRuns(tree, ends).map((run) => decodeRecords(extractor.part(run).bytes, 'rowid', 'UTF-8'));
    const before = (end: bigint, n: number) => rowids.filter((rowid) => rowid <= end && !(rowid <= ends[n - 1]!));
    expect(ranges.map((records) => records.map(({rowid}) => rowid))).toEqual(ends.map(before));
  }
});

test('an output ends before the record that would bring it beyond 4 MiB, also at a separator', () => {
  const database = new Database('CREATE TABLE w (k PRIMARY KEY, a) WITHOUT ROWID; CREATE TABLE t (a)');
  // Three records a page, so that every fourth is a separator; some of them have overflow.
  database.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
    INSERT INTO w SELECT i, randomblob(900 + i % 300) FROM n; INSERT INTO t SELECT a FROM w`);
  const {files, close} = openFiles(database.path);
  onTestFinished(close);
  const [w, t] = ['w', 't'].map((name) => {
    const {root} = database.db.prepare('SELECT rootpage AS root FROM sqlite_schema WHERE name = ?').get(name)!;
    return readTree(files, Number(root));
  }) as [KeyTree, RowidTree];
  const ofKeys = (seed: number) =>
    keyRuns(w, randomEnds(w.leaves.length, new Random(seed)), {hashed: 'head', mask: 15});
  const extractor = () => new LocalExtractor({...files, visited: noPageVisited(files.pages)});
  const starts: number[][] = [];
  let stopsAtSeparators = 0;
  for (const runs of [rowidRuns(t, [mostRowid]), ...[1, 2, 3, 4, 5, 6].map(ofKeys)]) {
    const kind = runs[0]!.kind;
    const together = extractor();
    const parts = runs.map((run) => together.parts(run));
    for (const [run, ofRun] of parts.entries()) {
      for (const [n, {bytes, next}] of ofRun.entries()) {
        expect(bytes.length).toBeLessThanOrEqual(mostBytes);
        if (next === undefined) continue;
        const leaf = Buffer.alloc(files.pageBytes);
        new PageReader(files).read(runs[run]!.leaves[next.leaf]!, leaf);
        if (next.cell === leaf.readUInt16BE(3)) stopsAtSeparators++;
        const [first, second] = decodeRecords(ofRun[n + 1]!.bytes, kind, 'UTF-8');
        expect(bytes.length + second!.at - first!.at).toBeGreaterThan(mostBytes);
      }
    }
    const all = parts.flat();
    expect(all.reduce((sum, {records}) => sum + records, 0)).toBe(8000);
    expect(decodeRecords(Buffer.concat(all.map(({bytes}) => bytes)), kind, 'UTF-8').length).toBe(8000);
    if (kind === 'key') starts.push(joined(all).starts);
  }
  for (const other of starts) expect(other).toEqual(starts[0]);
  expect(starts[0]!.length).toBeGreaterThan(100);
  expect(stopsAtSeparators).toBeGreaterThan(0);
});

/** Upper ends of ranges: some of them rowids that exist or separate leaves. */
function randomRowids({bounds}: RowidTree, {seed, rowids}: Shape): bigint[] {
  const random = new Random(seed + 1);
  const some = Array.from({length: random.below(6)}, () => [
    bounds[random.below(bounds.length)]!,
    rowids === 'extreme' ? random.integer64() : BigInt(random.below(1500)),
  ]);
  const least = -(2n ** 63n);
  const ends = [...new Set(some.flat())].filter((end) => end !== mostRowid && end !== least);
  return [...ends.sort((a, b) => (a < b ? -1 : 1)), mostRowid];
}

function randomEnds(count: number, random: Random): number[] {
  const some = Array.from({length: random.below(5)}, () => 1 + random.below(count)).filter((end) => end < count);
  return [...new Set(some)].sort((a, b) => a - b).concat(count);
}

type Part = ReturnType<LocalExtractor['part']>;

/** Marks are pairs of an offset and the number of records before it. */
const offsetsOf = (marks: readonly number[]) => marks.filter((_, n) => n % 2 === 0);

/** The bytes of all runs of a key tree, and where chunks begin in them. */
function joined(parts: readonly Part[]): {bytes: Buffer; starts: number[]} {
  const starts: number[] = [];
  let at = 0;
  let beforeQualifies = false;
  for (const {bytes, marks, lastQualifies} of parts) {
    starts.push(
      ...offsetsOf(marks)
        .filter((mark) => mark > 0 || !beforeQualifies)
        .map((mark) => at + mark),
    );
    if (bytes.length > 0) beforeQualifies = lastQualifies;
    at += bytes.length;
  }
  return {bytes: Buffer.concat(parts.map(({bytes}) => bytes)), starts};
}

function expectRecords(records: readonly DecodedRecord[], name: string, db: DatabaseSync): void {
  const {sql, reals} = contents[name]!;
  const select = db.prepare(sql);
  select.setReadBigInts(true);
  select.setReturnArrays(true);
  const added: readonly Value[] = name === 't' ? addedColumns.t : [];
  const actual = records.map(({rowid, values}) => {
    const columns = name === 't' ? 7 : values.length;
    const all = [...values, ...added.slice(added.length - (columns - values.length))].map((value, n) =>
      reals.includes(n) && typeof value === 'bigint' ? Number(value) : value,
    );
    return rowid === undefined ? all : [rowid, ...all];
  });
  expect(actual.map(asText)).toEqual((select.all() as unknown as Value[][]).map(asText));
}

/** With the type of each value. */
function asText(values: readonly (Value | Uint8Array)[]): string {
  return values
    .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : `${typeof value} ${value}`))
    .join(', ');
}
