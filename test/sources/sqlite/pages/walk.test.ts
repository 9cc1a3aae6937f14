import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {SqliteSource} from '../../../../src/sources/sqlite/index.ts';
import {noPageVisited} from '../../../../src/sources/sqlite/pages/visited-pages.ts';
import {walkTree} from '../../../../src/sources/sqlite/pages/walk.ts';
import fc from '../../../seeds/fast-check.ts';
import {LocalExtractor} from './extract-all.ts';
import {contents, makeDatabase, shapeArbitrary} from './extract-tables.ts';
import {keyRuns, mostRowid, openFiles, readTree, rowidRuns} from './extract-trees.ts';
import {bytesOf, newChunks, recordsOf, type TakenTree} from './records-of.ts';

/** BKP_TEST_RUNS multiplies the cases, which then have more rows. */
const scale = Number(process.env.BKP_TEST_RUNS ?? 1);

test('a walk finds the leaves of every tree, and a snapshot takes their records', {
  timeout: 60_000 * scale,
}, async () => {
  await fc.assert(
    fc.asyncProperty(shapeArbitrary, async (some) => {
      const shape = scale > 1 ? some : {...some, rows: some.rows >> 4};
      const folder = mkdtempSync(join(tmpdir(), 'bkp-walk-'));
      const path = join(folder, 'a.db');
      const db = makeDatabase(path, shape);
      const {files, close} = openFiles(path);
      try {
        const source = new SqliteSource(path);
        const [t, w] = [await recordsOf(source, 't'), await recordsOf(source, 'w')];
        const taken = new Map([...t, ...w]);
        expect([...taken.keys()].sort()).toEqual(Object.keys(contents).sort());
        const walked = {...files, visited: noPageVisited(files.pages)};
        for (const name of Object.keys(contents)) {
          const root = Number(db.prepare('SELECT rootpage AS root FROM sqlite_schema WHERE name = ?').get(name)!.root);
          const tree = readTree(files, root);
          const leaves = await walkTree(walked, {root, kind: tree.kind});
          expect([...leaves.pages]).toEqual(tree.leaves);
          const extractor = new LocalExtractor({...files, visited: noPageVisited(files.pages)});
          if (tree.kind === 'rowid') {
            expect(leaves).toHaveProperty('upTo', BigInt64Array.from(tree.bounds.slice(1)));
            expect(bytesOf(taken.get(name)).equals(extractor.all(rowidRuns(tree, [mostRowid]))), name).toBe(true);
          } else {
            const [run] = keyRuns(tree, [tree.leaves.length], {hashed: 'tail', mask: 1});
            const {separatorPages, separatorCells} = run!;
            expect(leaves).toMatchObject({separatorPages, separatorCells});
            expect(bytesOf(taken.get(name)).equals(extractor.all([run!])), name).toBe(true);
          }
        }
        const again = await recordsOf(source, 't', {previous: t});
        for (const [name, tree] of again) {
          // A first sample of the sizes of records can be far off.
          if (bitsOf(tree) === bitsOf(t.get(name)!)) expect(newChunks(tree, t.get(name)!), name).toBe(0);
        }
      } finally {
        close();
        db.close();
        rmSync(folder, {recursive: true});
      }
    }),
    {numRuns: 2 * scale, endOnFailure: true},
  );
});

const bitsOf = ({cuts}: TakenTree) => (JSON.parse(cuts) as {bits?: number}).bits;
