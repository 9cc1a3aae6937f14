import {mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, expect} from 'vitest';
import {expectSame} from '../../../helpers/sqlite-compare.ts';
import fc from '../../../seeds/fast-check.ts';
import {fillDatabase, generator, pageSizes, randomTable} from './random-database.ts';
import {type Cut, createDatabase, layOut, statementsOf} from './target.ts';
import {readTrees} from './trees.ts';

const folder = mkdtempSync(join(tmpdir(), 'bkp-layout-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));

const file = fc.record({
  pageSize: fc.constantFrom(...pageSizes),
  autoVacuum: fc.constantFrom(0, 0, 1, 2),
  reserved: fc.constantFrom(0, 0, 0, 8, 32),
});

const mostChunkBytes = 4 * 1024 * 1024;

/** Chunks of random lengths, some of them with a single record. */
function randomCut(cutSeed: number, mean: number): Cut {
  const random = generator(cutSeed);
  return (records) => {
    const chunks: Buffer[] = [];
    for (let at = 0; at < records.length; ) {
      const first = at;
      const count = random(3) === 0 ? 1 : 1 + random(2 * mean);
      for (let bytes = 0; at < records.length && at - first < count; at++) {
        bytes += records[at]!.length;
        if (at > first && bytes > mostChunkBytes) break;
      }
      chunks.push(Buffer.concat(records.slice(first, at)));
    }
    return chunks;
  };
}

/** Lays out random databases, and compares what SQLite reads. */
export async function checkRandomDatabases({seed, numRuns}: {seed: number; numRuns: number}): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      file,
      file,
      fc.constantFrom('UTF-8', 'UTF-16le', 'UTF-16be'),
      fc.array(randomTable, {minLength: 1, maxLength: 4}),
      fc.record({seed: fc.integer({min: 1, max: 0x7fffffff}), mean: fc.constantFrom(1, 3, 30, 500)}),
      fc.constantFrom(0, 5000, 1024 * 1024),
      async (original, target, encoding, content, cut, hereUpToBytes) => {
        const source = join(folder, 'source.db');
        const restored = join(folder, 'restored.db');
        fillDatabase(source, {...original, encoding}, content);
        {
          using from = new DatabaseSync(source);
          using to = createDatabase(restored, {...target, encoding});
          for (const sql of statementsOf(from)) to.exec(sql);
        }
        const {pages} = await layOut(restored, readTrees(source), {
          cut: randomCut(cut.seed, cut.mean),
          hereUpToBytes,
        });
        expect(statSync(restored).size).toBe(pages * target.pageSize);
        expectSame(restored, source);
      },
    ),
    {numRuns, seed},
  );
}
