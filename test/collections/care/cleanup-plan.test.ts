import {expect, test} from 'vitest';
import {cleanUp, planCleanup} from '../../../src/collections/index.ts';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {openVault, type Recipe} from '../../../src/vault/index.ts';
import fc from '../../seeds/fast-check.ts';
import {noise, readAll} from '../../vault/helpers.ts';

// The dry run of a cleanup against the cleanup.

const tools = {nowMicros: () => 0, signal: new AbortController().signal, progress: () => {}, notice: () => {}};

type Made = {backups: number[][]; isDropped: boolean; reports: number};

/** Numbers stand for pieces of content, which backups and collections share. */
const piece = fc.integer({min: 0, max: 30});
const collections = fc.array(
  fc.record({
    backups: fc.array(fc.array(piece, {minLength: 1, maxLength: 12}), {minLength: 1, maxLength: 3}),
    isDropped: fc.boolean(),
    reports: fc.integer({min: 0, max: 2}),
  }),
  {minLength: 1, maxLength: 5},
);

async function make(made: readonly Made[], abandoned: readonly number[]) {
  const store = openMemoryStore();
  const vault = await openVault({store, create: true, graceMs: 0});
  const staying: {recipe: Recipe; plain: Buffer}[] = [];
  const contentOf = (pieces: readonly number[]) => pieces.map((seed) => noise(700 + 90 * seed, seed));
  for (const [at, {backups, isDropped, reports}] of made.entries()) {
    const folder = `.backups/collections/c${at}/`;
    const definition = {
      ...{version: 1, id: `${at}`.repeat(32), name: `c${at}`, createdAt: '2026-11-21T12:00:00Z'},
      ...{members: {kind: 'database'}, settings: {storage: 'cluster', incremental: false, omitIndexes: false}},
    };
    const names = backups.map((_, n) => `2026112112000${n}Z_full`);
    for (const [n, pieces] of backups.entries()) {
      const writer = await vault.writer({purpose: 'a backup'});
      const content = contentOf(pieces);
      const recipe = await writer.write(content.map((bytes) => ({bytes})));
      await writer.commit(`${folder}${names[n]}/manifest`, {kind: 'collection-backup', streams: [recipe], body: {}});
      for (let report = 0; report < reports; report++) {
        const id = `2026112113000${report}Z_restore_passed_01234567`;
        await writer.putDocument(`${folder}${names[n]}/reports/${id}`, {version: 1});
      }
      await writer.close();
      if (!isDropped) staying.push({recipe, plain: Buffer.concat(content)});
    }
    const writer = await vault.writer({purpose: 'a definition'});
    await writer.putDocument(`${folder}definition/00000001`, {...definition, generation: 1});
    const dropped = {at: '2026-11-22T12:00:00Z', backups: names};
    if (isDropped) await writer.putDocument(`${folder}definition/00000002`, {...definition, generation: 2, dropped});
    await writer.close();
  }
  // What a backup left that did not end.
  const writer = await vault.writer({purpose: 'abandoned'});
  if (abandoned.length > 0) await writer.write(contentOf(abandoned).map((bytes) => ({bytes})));
  await writer.close();
  return {store, vault, staying};
}

// BKP_TEST_RUNS=20 for more. Prints its seed when it fails.
test('a cleanup removes exactly what its dry run named, and frees what it said', async () => {
  const property = fc.asyncProperty(collections, fc.array(piece, {maxLength: 8}), async (made, abandoned) => {
    const {store, vault, staying} = await make(made, abandoned);
    const sizes = () => new Map([...store.objects].map(([key, {bytes}]) => [key, bytes.length]));
    const before = sizes();
    const plan = await planCleanup(vault);
    expect(sizes()).toEqual(before);
    const {freedBytes, backups} = await cleanUp({...tools, vault}, 'cleanup/1');
    const after = sizes();
    const gone = (prefix: string) =>
      [...before.keys()].filter((key) => key.startsWith(prefix) && !after.has(key)).sort();
    const bytesOf = (keys: readonly string[], of: ReadonlyMap<string, number>) =>
      keys.reduce((sum, key) => sum + of.get(key)!, 0);
    expect(backups).toBe(plan.manifests.length);
    expect(gone('.backups/').filter((key) => !key.includes('/definition/'))).toEqual(
      [...plan.manifests, ...plan.reports].sort(),
    );
    const {deadPacks, sparsePacks, smallPacks} = plan.packs;
    const packs = [...deadPacks, ...sparsePacks, ...smallPacks].map((id) => `packs/${id.slice(0, 2)}/${id}`);
    expect(gone('packs/')).toEqual(packs.sort());
    const addedPacks = [...after.keys()].filter((key) => key.startsWith('packs/') && !before.has(key));
    const packBytes = bytesOf(gone('packs/'), before) - bytesOf(addedPacks, after);
    // Of what is moved, the tables of the new packs are not known before; without them it is exact.
    expect(plan.packs.freedBytes).toBeGreaterThanOrEqual(packBytes);
    expect(plan.packs.freedBytes - packBytes).toBeLessThanOrEqual(addedPacks.length === 0 ? 0 : 200 * 31 + 2000);
    expect(freedBytes).toBe(Math.max(0, packBytes));
    for (const {recipe, plain} of staying) expect((await readAll(vault, recipe)).equals(plain)).toBe(true);
    const nothing = await planCleanup(vault);
    expect(nothing).toMatchObject({manifests: [], reports: [], packs: {deadPacks: [], freedBytes: 0}});
    vault.close();
  });
  await fc.assert(property, {numRuns: 4 * Number(process.env.BKP_TEST_RUNS ?? 1)});
});
