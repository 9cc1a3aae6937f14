import {expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import type {Recipe, Vault} from '../../../src/vault/index.ts';
import fc from '../../seeds/fast-check.ts';
import {type FakeClock, fakeClock, keysOf, manifestKey, manifestOf, newStore, noise, open} from '../helpers.ts';

// What was verified when, and how a budget is spent.

const dayMs = 24 * 60 * 60 * 1000;

const ledgerKeys = (store: Store) => keysOf(store, 'verified/');

/** Commits a backup whose streams are in one pack each. */
async function backupInPacks(vault: Vault, name: string, streams: readonly Buffer[]): Promise<Recipe[]> {
  const writer = await vault.writer({purpose: `backup ${name}`});
  try {
    const recipes: Recipe[] = [];
    for (const bytes of streams) {
      recipes.push(await writer.write([{bytes}]));
      await writer.flush();
    }
    await writer.commit(manifestKey(name), manifestOf(...recipes));
    return recipes;
  } finally {
    await writer.close();
  }
}

/** Flips a bit of the pack with this chunk. */
async function damage(store: Store, vault: Vault, recipe: Recipe): Promise<string> {
  for (const key of await keysOf(store, 'packs/')) {
    const bytes = Buffer.from(await store.get(key));
    // The table names the chunk; the pack's chunks are noise, so nothing else does.
    if (!(await packHas(store, key, recipe))) continue;
    bytes[3]! ^= 1;
    await store.put(key, bytes);
    return key;
  }
  throw new Error(`no pack of ${vault.location} has the chunk`);
}

async function packHas(store: Store, key: string, {chunks}: Recipe): Promise<boolean> {
  const {readPackTable} = await import('../../../src/vault/format/pack.ts');
  const id = key.slice(-64) as never;
  const {sizeBytes} = (await store.stat(key))!;
  return (await readPackTable(store, id, sizeBytes)).some((entry) => chunks.includes(entry.id));
}

const verifiedAt = async (vault: Vault, recipes: readonly Recipe[]) => {
  const survey = await vault.survey();
  const needs = survey.needsInTurn();
  const {verifiedMs} = await needs.of(recipes);
  needs.close();
  expect(await survey.verifiedMs(recipes)).toBe(verifiedMs);
  return verifiedMs;
};

test('a budget reads packs that were never verified, oldest first, then the least recently verified', async () => {
  const [store, clock] = [newStore(), fakeClock()];
  const vault = await open(store, {clock});
  const recipes: Recipe[] = [];
  // The memory store's own clock says which pack is older.
  for (const seed of [1, 2, 3]) {
    recipes.push(...(await backupInPacks(vault, `b${seed}`, [noise(50_000, seed)])));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const night = async () => {
    clock.advance(dayMs);
    const found = await vault.verify(recipes, {level: 'data', budget: {bytes: 60_000}});
    expect(found.findings).toEqual([]);
    expect(found.readBytes).toBeLessThanOrEqual(1.02 * 60_000);
    return [found.coverage.neverBytes > 0, await Promise.all(recipes.map((recipe) => verifiedAt(vault, [recipe])))];
  };
  const at = clock.wallMs();
  const day = (n: number) => at + n * dayMs;
  expect(await night()).toEqual([true, [day(1), undefined, undefined]]);
  expect(await night()).toEqual([true, [day(1), day(2), undefined]]);
  expect(await night()).toEqual([false, [day(1), day(2), day(3)]]);
  expect(await night()).toEqual([false, [day(4), day(2), day(3)]]);
  // A backup was verified when the oldest of its bytes was.
  expect(await verifiedAt(vault, recipes)).toBe(day(2));
});

test('a budget of time begins no pack after its end, and always reads one', async () => {
  const [store, clock] = [newStore(), fakeClock()];
  const slow: Store = {
    ...store,
    get: async (key, range) => {
      if (key.startsWith('packs/')) clock.advance(1000);
      return store.get(key, range);
    },
  };
  const vault = await open(store, {clock});
  const recipes = await backupInPacks(
    vault,
    'one',
    Array.from({length: 12}, (_, seed) => noise(5_000, seed)),
  );
  const later = await open(slow, {clock});
  const {coverage} = await later.verify(recipes, {level: 'data', budget: {ms: 3_000}});
  expect(coverage.neverBytes).toBeGreaterThanOrEqual(5 * 5_000);
  expect(coverage.neverBytes).toBeLessThan(12 * 5_000);
  const {coverage: after} = await later.verify(recipes, {level: 'data', budget: {ms: 0}});
  expect(after.neverBytes).toBeLessThan(coverage.neverBytes);
});

test('a damaged pack is found by a budget, and is read again every time until it is repaired', async () => {
  const [store, clock] = [newStore(), fakeClock()];
  const vault = await open(store, {clock});
  const recipes = await backupInPacks(
    vault,
    'one',
    [1, 2, 3].map((seed) => noise(20_000, seed)),
  );
  const [first, second] = recipes as [Recipe, Recipe];
  await vault.verify(recipes, {level: 'data'});
  const firstMs = clock.wallMs();
  clock.advance(dayMs);
  // The most recently verified one is damaged after that.
  await vault.verify([second], {level: 'data'});
  const key = await damage(store, vault, second);
  const intact = Buffer.from(await store.get(key));
  intact[3]! ^= 1;
  const found = await vault.verify([second], {level: 'data', budget: {bytes: 1}});
  expect(found.findings).toMatchObject([{what: 'damaged', key, chunk: second.chunks[0]}]);
  expect(found.coverage).toMatchObject({neverBytes: found.coverage.neededBytes});
  expect(await verifiedAt(vault, recipes)).toBeUndefined();
  expect(await verifiedAt(vault, [first])).toBe(firstMs);
  clock.advance(dayMs);
  // Two packs: one that is due, and the damaged one.
  const budget = {bytes: 50_000};
  expect((await vault.verify(recipes, {level: 'data', budget})).findings).toMatchObject([{key}]);
  await store.put(key, intact);
  expect((await vault.verify(recipes, {level: 'data', budget})).findings).toEqual([]);
  expect(await verifiedAt(vault, [second])).toBe(clock.wallMs());
});

test.each([[{bytes: 1}], [{ms: 0}], [{bytes: 70_000}]])(
  'damaged packs, however many, do not keep a budget of %o from reading everything else',
  async (budget) => {
    const [store, clock] = [newStore(), fakeClock()];
    const vault = await open(store, {clock});
    const bad = await backupInPacks(
      vault,
      'bad',
      [1, 2, 3, 4].map((seed) => noise(20_000, seed)),
    );
    for (const recipe of bad) await damage(store, vault, recipe);
    await vault.verify(bad, {level: 'data'});
    const good = await backupInPacks(
      vault,
      'good',
      [5, 6, 7].map((seed) => noise(20_000, seed)),
    );
    for (let night = 0; night < good.length; night++) {
      clock.advance(dayMs);
      const {findings} = await vault.verify([...bad, ...good], {level: 'data', budget});
      expect(new Set(findings.map(({pack}) => pack)).size).toBe(bad.length);
    }
    expect(await verifiedAt(vault, good)).toBeDefined();
  },
);

test('what an earlier verification found damaged is a fault also when the budget does not reach it', async () => {
  const store = newStore();
  const vault = await open(store);
  const seeds = [1, 2, 3];
  const recipes = await backupInPacks(
    vault,
    'one',
    seeds.map((seed) => noise(20_000, seed)),
  );
  for (const recipe of recipes) await damage(store, vault, recipe);
  await vault.verify(recipes, {level: 'data'});
  const {findings} = await vault.verify(recipes, {level: 'data', budget: {bytes: 1}});
  expect(new Set(findings.map(({pack}) => pack)).size).toBe(seeds.length);
});

test('what was read of a pack in part counts for that part', async () => {
  const [store, clock] = [newStore(), fakeClock()];
  const vault = await open(store, {clock});
  const writer = await vault.writer({purpose: 'parts'});
  const recipes: Recipe[] = [];
  for (const seed of [1, 2, 3, 4]) recipes.push(await writer.write([{bytes: noise(30_000, seed)}]));
  await writer.commit(manifestKey('one'), manifestOf(...recipes));
  await writer.close();
  const [first, second] = recipes as [Recipe, Recipe];
  await vault.verify([first], {level: 'data'});
  const firstMs = clock.wallMs();
  expect(await verifiedAt(vault, [first])).toBe(firstMs);
  expect(await verifiedAt(vault, [first, second])).toBeUndefined();
  clock.advance(dayMs);
  await vault.verify([second], {level: 'data'});
  expect(await verifiedAt(vault, [first, second])).toBe(firstMs);
  expect(await verifiedAt(vault, [second])).toBe(clock.wallMs());
  clock.advance(dayMs);
  await vault.verify(recipes, {level: 'structure'});
  expect(await verifiedAt(vault, [first, second])).toBe(firstMs);
  await vault.verify(recipes, {level: 'data'});
  expect(await verifiedAt(vault, [first, second])).toBe(clock.wallMs());
});

test('the ledger stays few documents beside another writer, and losing it costs only verifications', async () => {
  const [store, clock] = [newStore(), fakeClock()];
  const [here, there] = [await open(store, {clock}), await open(store, {clock})];
  const recipes = await backupInPacks(
    here,
    'one',
    [1, 2].map((seed) => noise(20_000, seed)),
  );
  const [one, two] = recipes as [Recipe, Recipe];
  for (let n = 0; n < 40; n++) {
    clock.advance(dayMs);
    await Promise.all([here.verify([one], {level: 'data'}), there.verify([two], {level: 'data'})]);
    expect(await verifiedAt(here, recipes)).toBe(clock.wallMs());
    expect((await ledgerKeys(store)).length).toBeLessThanOrEqual(20);
  }
  const [damaged, ...others] = await ledgerKeys(store);
  await store.put(damaged!, Buffer.from('not a document'));
  await store.delete(others);
  expect(await verifiedAt(here, recipes)).toBeUndefined();
  await here.verify(recipes, {level: 'data'});
  expect(await verifiedAt(there, recipes)).toBe(clock.wallMs());
});

test('where documents cannot be removed, the ledger stays correct, and few of them are read', async () => {
  const [inner, clock] = [newStore(), fakeClock()];
  const denied: Store = {...inner, delete: async (keys) => keys.map((key) => ({key, untilMs: 1}))};
  const vault = await open(denied, {clock});
  const recipes = await backupInPacks(vault, 'one', [noise(20_000, 1)]);
  let reads = 0;
  for (let n = 0; n < 60; n++) {
    clock.advance(dayMs);
    await vault.verify(recipes, {level: 'data'});
  }
  expect(await verifiedAt(vault, recipes)).toBe(clock.wallMs());
  expect(await ledgerKeys(inner)).toHaveLength(60);
  const counting: Store = {
    ...denied,
    get: async (key, range) => {
      if (key.startsWith('verified/')) reads += 1;
      return inner.get(key, range);
    },
  };
  await verifiedAt(await open(counting, {clock}), recipes);
  expect(reads).toBeLessThanOrEqual(24);
});

test('a time in the future counts for nothing, and a store that cannot be written fails no verification', async () => {
  const [store, clock] = [newStore(), fakeClock()];
  const ahead: FakeClock = {...clock, wallMs: () => clock.wallMs() + 365 * dayMs};
  const wrong = await open(store, {clock: ahead});
  const recipes = await backupInPacks(wrong, 'one', [noise(20_000, 1)]);
  await wrong.verify(recipes, {level: 'data'});
  const vault = await open(store, {clock});
  expect(await verifiedAt(vault, recipes)).toBeUndefined();
  await vault.verify(recipes, {level: 'data'});
  expect(await verifiedAt(vault, recipes)).toBe(clock.wallMs());
  const {BkpError} = await import('../../../src/errors/index.ts');
  const readOnly: Store = {
    ...store,
    put: async () => {
      throw new BkpError('STORE_DENIED', 'read-only');
    },
  };
  const reader = await open(readOnly, {clock, create: false});
  const {findings, unrecorded} = await reader.verify(recipes, {level: 'data'});
  expect(findings).toEqual([]);
  expect(unrecorded).toMatchObject({code: 'STORE_DENIED'});
});

test('a cleanup removes what the ledger says of packs that are gone', async () => {
  const store = newStore();
  const vault = await open(store, {graceMs: 0});
  const recipes = await backupInPacks(vault, 'one', [noise(20_000, 1)]);
  await vault.verify(recipes, {level: 'data'});
  expect(await ledgerKeys(store)).toHaveLength(1);
  const collector = await vault.collector({purpose: 'cleanup'});
  await collector.remove([manifestKey('one')]);
  await collector.execute(await collector.plan());
  await collector.close();
  expect(await ledgerKeys(store)).toEqual([]);
});

// BKP_LEDGER_RUNS=200 for more.
test('a nightly budget guarantees how long ago any byte was verified', async () => {
  const numRuns = Number(process.env.BKP_LEDGER_RUNS ?? 6);
  const property = fc.asyncProperty(
    fc.array(fc.integer({min: 1_000, max: 30_000}), {minLength: 1, maxLength: 12}),
    fc.array(fc.integer({min: 1_000, max: 12_000}), {minLength: 0, maxLength: 6}),
    fc.integer({min: 45_000, max: 120_000}),
    async (first, nightly, budget) => {
      const [inner, clock] = [newStore(), fakeClock()];
      let fetched = 0;
      const store: Store = {
        ...inner,
        get: async (key, range) => {
          const bytes = await inner.get(key, range);
          fetched += bytes.length;
          return bytes;
        },
      };
      const vault = await open(store, {clock});
      let seed = 0;
      const recipes = await backupInPacks(
        vault,
        'first',
        first.map((bytes) => noise(bytes, ++seed)),
      );
      // The last pack that does not fit ends a night, and new packs come first.
      const perNight = budget - 32_000 - 13_000;
      const totalBytes = () => recipes.reduce((sum, {sizeBytes}) => sum + sizeBytes + 1_000, 0);
      const nights = () => Math.ceil(totalBytes() / Math.max(perNight, 1)) + 1;
      for (let night = 1; night <= 25; night++) {
        clock.advance(dayMs);
        const added = nightly[night];
        if (added !== undefined) recipes.push(...(await backupInPacks(vault, `n${night}`, [noise(added, ++seed)])));
        fetched = 0;
        const {readBytes, coverage} = await vault.verify(recipes, {level: 'data', budget: {bytes: budget}});
        expect(fetched).toBeLessThanOrEqual(1.02 * budget);
        expect(readBytes).toBeLessThanOrEqual(1.02 * budget);
        if (night < nights()) continue;
        expect(coverage.neverBytes).toBe(0);
        expect(coverage.oldestMs).toBeGreaterThanOrEqual(clock.wallMs() - nights() * dayMs);
      }
    },
  );
  // Prints its seed when it fails. Whatever it is, one vault takes several nights.
  await fc.assert(property, {numRuns, examples: [[Array.from({length: 8}, () => 30_000), [], 75_000]]});
});
