import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection, planBackup, restoreBackup, takeBackup} from '../../../src/collections/index.ts';
import {inProcess} from '../../helpers/in-process.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile();

test('the progress of a restore names each phase once, and never goes back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-progress-'));
  const [database, target] = [await cluster().create(), await cluster().create()];
  onTestFinished(async () => {
    await database.close();
    await target.close();
    rmSync(folder, {recursive: true});
  });
  const rows = Number(process.env.BKP_TEST_ROWS ?? 20_000);
  await database.exec(`CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE INDEX ON parent (v);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, v text); CREATE INDEX ON child (v);
    INSERT INTO parent SELECT g, md5(g::text) FROM generate_series(1, ${rows}) g;
    INSERT INTO child SELECT g, g, md5(g::text) FROM generate_series(1, ${rows}) g`);
  const tools = {nowMicros: () => Date.now() * 1000, signal: new AbortController().signal, notice: () => {}};
  const quiet = {...tools, progress: () => {}};
  const {vault: inVault} = inProcess({database: '', cluster: join(folder, 'vault')});
  const seen: {phase: string; whole: number; atMs: number}[] = [];
  await inVault(async (vault) => {
    const made = {name: 'c', members: {kind: 'database'}, settings: [], ifNotExists: false} as const;
    await createCollection({vault, nowMicros: tools.nowMicros, randomId: () => 'c'.repeat(32)}, made);
    const {source} = database;
    const of = {collection: 'c', type: 'full'} as const;
    const name = await planBackup(vault, source, {...of, nowMicros: tools.nowMicros()});
    const {backup} = await takeBackup({...quiet, vault, source}, {...of, name, operation: 'test'});
    const progress = ({phase, whole = -1}: {phase: string; whole?: number}) => {
      seen.push({phase, whole, atMs: performance.now()});
    };
    const request = {collection: 'c', backup, stagingId: 'progress', check: 'quick'} as const;
    await restoreBackup({...tools, progress, vault, source: target.source}, request);
  });
  const end = performance.now();
  const began = new Map<string, number>();
  for (const {phase, atMs} of seen) if (!began.has(phase)) began.set(phase, atMs);
  if (process.env.BKP_TEST_ROWS !== undefined) {
    const starts = [...began.values(), end];
    console.log([...began.keys()].map((phase, at) => `${phase} ${Math.round(starts[at + 1]! - starts[at]!)} ms`));
  }
  const phases = seen.map(({phase}) => phase).filter((phase, at, all) => phase !== all[at - 1]);
  expect(phases).toEqual(['TransferData', 'Indexes', 'References', 'Check', 'Publish']);
  const wholes = seen.map(({whole}) => whole);
  expect(wholes).toEqual(wholes.toSorted((a, b) => a - b));
  expect(wholes.at(-1)).toBeGreaterThan(0.8);
});
