import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {DatabaseSync} from 'node:sqlite';
import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {KeyRun, RowidRun} from '../../../../src/sources/sqlite/pages/page-files.ts';
import {noPageVisited} from '../../../../src/sources/sqlite/pages/visited-pages.ts';
import {LocalExtractor} from './extract-all.ts';
import {type DecodedRecord, decodeRecords, type Value} from './extract-records.ts';
import {addedColumns, contents, makeDatabase, Random, type Shape, shapeArbitrary} from './extract-tables.ts';
import {keyRuns, mostRowid, openFiles, type RowidTree, readTree, rowidRuns} from './extract-trees.ts';

/** BKP_TEST_RUNS multiplies the cases. */
const runs = 6 * Number(process.env.BKP_TEST_RUNS ?? 1);

test('the records of every tree are those of SQLite, however the tree is divided into runs', () => {
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
          const divided = joined(extractor(), keyRuns(tree, ends, hash));
          const whole = joined(extractor(), keyRuns(tree, [tree.leaves.length], hash));
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
    {numRuns: runs},
  );
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

/** The bytes of all runs, and where chunks begin in them. */
function joined(extractor: LocalExtractor, runs: readonly (RowidRun | KeyRun)[]): {bytes: Buffer; starts: number[]} {
  const parts = runs.flatMap((run) => extractor.parts(run));
  const starts: number[] = [];
  let at = 0;
  let beforeQualifies = false;
  for (const {bytes, marks, lastQualifies} of parts) {
    starts.push(...marks.filter((mark) => mark > 0 || !beforeQualifies).map((mark) => at + mark));
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
