import {describe, expect, test} from 'vitest';
import {openMemoryStore} from '../../../src/stores/index.ts';
import type {Recipe, Vault} from '../../../src/vault/index.ts';
import fc from '../../seeds/fast-check.ts';
import {
  backup,
  changed,
  fakeClock,
  findings,
  keysOf,
  manifestKey,
  newStore,
  noise,
  open,
  readAll,
  testPlain,
} from '../helpers.ts';

async function collect(vault: Vault, ...names: string[]) {
  const collector = await vault.collector({purpose: 'cleanup'});
  try {
    await collector.remove(names.map(manifestKey));
    const plan = await collector.plan();
    return {plan, ...(await collector.execute(plan))};
  } finally {
    await collector.close();
  }
}

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(10_000, seed)}));

test('a collector removes what no backup needs and keeps what one needs', async () => {
  const store = newStore();
  const vault = await open(store);
  await backup(vault, 'one', pieces(1, 2, 3));
  const two = await backup(vault, 'two', pieces(3, 4));
  const {plan, freedBytes} = await collect(vault, 'one');
  // One third of the first backup's pack is needed.
  expect(plan).toMatchObject({deadPacks: [], sparsePacks: {length: 1}});
  expect(plan.freedBytes).toBeGreaterThan(20_000);
  expect(freedBytes).toBeGreaterThan(19_000);
  expect(await findings(vault)).toEqual([]);
  expect(await readAll(vault, two)).toHaveLength(20_000);
  await collect(vault, 'two');
  expect(await keysOf(store)).toEqual(['bkp.json']);
});

test('a base stays as long as a difference to it does', async () => {
  const store = newStore();
  const vault = await open(store);
  const bytes = noise(50_000, 1);
  const one = await backup(vault, 'one', [{bytes}, ...pieces(2, 3, 4, 5, 6, 7, 8, 9, 10)]);
  const two = await backup(vault, 'two', [{bytes: changed(bytes, 7), like: one.chunks[0]!}]);
  await collect(vault, 'one');
  expect(await findings(vault)).toEqual([]);
  expect((await readAll(await open(store), two)).equals(changed(bytes, 7))).toBe(true);
  expect(await vault.storedBytes([two])).toBeGreaterThan(50_000);
});

testPlain('many small packs are merged, and so are their indexes', async () => {
  const store = newStore();
  const vault = await open(store);
  const recipes: Recipe[] = [];
  for (let seed = 0; seed < 70; seed++) recipes.push(await backup(vault, `${seed}`, pieces(seed, 1000 + seed)));
  const packs = async () => (await keysOf(store)).filter((key) => key.startsWith('packs/')).length;
  const indexes = async () => (await keysOf(store)).filter((key) => key.startsWith('index/')).length;
  expect([await packs(), await indexes()]).toEqual([70, 70]);
  const {plan, freedBytes} = await collect(vault, '69');
  expect(plan).toMatchObject({deadPacks: {length: 1}, sparsePacks: [], smallPacks: {length: 69}});
  expect(freedBytes).toBeGreaterThan(20_000);
  expect([await packs(), await indexes()]).toEqual([1, 1]);
  expect(await findings(vault)).toEqual([]);
  for (const recipe of recipes.slice(0, 69)) expect(await readAll(await open(store), recipe)).toHaveLength(20_000);
  // Few small packs stay as they are.
  await backup(vault, 'another', pieces(7000));
  expect((await collect(vault)).plan.smallPacks).toEqual([]);
  expect(await packs()).toBe(2);
});

test('a dry run removes nothing', async () => {
  const store = newStore();
  const vault = await open(store, {graceMs: 0});
  const writer = await vault.writer({purpose: 'test'});
  await writer.write(pieces(1));
  await writer.flush();
  await writer.close();
  const before = await keysOf(store);
  const collector = await vault.collector({purpose: 'cleanup'});
  expect((await collector.plan()).deadPacks).toHaveLength(1);
  await collector.close();
  expect(await keysOf(store)).toEqual(before);
});

describe('the grace time', () => {
  const hourMs = 60 * 60 * 1000;
  /** A store whose clock differs from ours by decades. */
  const storeWithClock = () => {
    const clock = {nowMs: 5 * hourMs};
    return {clock, store: openMemoryStore({nowMs: () => clock.nowMs})};
  };
  async function writeWithoutCommit(vault: Vault) {
    const writer = await vault.writer({purpose: 'interrupted before its commit'});
    await writer.write(pieces(1, 2));
    await writer.flush();
    await writer.close();
  }

  test('keeps what an interrupted backup wrote, for its next attempt', async () => {
    const {store, clock} = storeWithClock();
    const vault = await open(store);
    await writeWithoutCommit(vault);
    clock.nowMs += hourMs - 1;
    expect((await collect(vault)).plan.deadPacks).toEqual([]);
    const writer = await (await open(store)).writer({purpose: 'next attempt'});
    await writer.write(pieces(1, 2));
    expect(writer.stats.newChunks).toBe(0);
    await writer.close();
    clock.nowMs += 1;
    expect((await collect(vault)).plan.deadPacks).toHaveLength(1);
    expect(await keysOf(store)).toEqual(['bkp.json']);
  });

  test('does not apply to what was just dropped', async () => {
    const {store} = storeWithClock();
    const vault = await open(store);
    await backup(vault, 'one', pieces(1, 2));
    await writeWithoutCommit(vault);
    expect((await collect(vault, 'one')).plan.deadPacks).toHaveLength(1);
    expect(await keysOf(store)).toEqual(['bkp.json']);
  });
});

describe('the collector guesses nothing and removes nothing', () => {
  const setUp = async () => {
    const store = newStore();
    const vault = await open(store, {graceMs: 0});
    await backup(vault, 'one', pieces(1, 2));
    await backup(vault, 'two', pieces(3));
    return {store, vault};
  };

  test('when a manifest cannot be read', async () => {
    const {store, vault} = await setUp();
    await store.put(manifestKey('two'), changed(await store.get(manifestKey('two')), 30));
    const packs = await keysOf(store, 'packs/');
    await expect(collect(vault, 'one')).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringContaining('no data was removed'),
    });
    expect(await keysOf(store, 'packs/')).toEqual(packs);
  });

  test('when a chunk that a backup needs is missing', async () => {
    const {store, vault} = await setUp();
    const packs = await keysOf(store, 'packs/');
    for (const key of packs) {
      const whole = await store.get(key);
      await store.delete([key]);
      await expect(collect(vault)).rejects.toMatchObject({code: 'OBJECT_MISSING'});
      expect((await keysOf(store, 'packs/')).length).toBe(packs.length - 1);
      await store.put(key, whole);
    }
  });

  test('when a backup appears while the collector works', async () => {
    const {store, vault} = await setUp();
    const collector = await vault.collector({purpose: 'cleanup'});
    await collector.remove([manifestKey('one')]);
    const plan = await collector.plan();
    await store.put(manifestKey('late'), await store.get(manifestKey('two')));
    const packs = await keysOf(store, 'packs/');
    await expect(collector.execute(plan)).rejects.toMatchObject({code: 'VAULT_LOCKED'});
    await collector.close();
    expect(await keysOf(store, 'packs/')).toEqual(packs);
  });
});

test('only manifests and documents can be removed by name', async () => {
  const vault = await open(newStore());
  const collector = await vault.collector({purpose: 'cleanup'});
  for (const key of ['bkp.json', 'packs/00/x', 'index/x', 'locks/x', '.backups/../bkp.json']) {
    await expect(collector.remove([key])).rejects.toThrow(/invariant broken/);
  }
  await collector.close();
});

test('a reader that was opened earlier finds chunks that a collector moved', async () => {
  const store = newStore();
  const reader = await open(store);
  const vault = await open(store);
  await backup(vault, 'one', pieces(1, 2, 3, 4));
  const two = await backup(vault, 'two', pieces(4, 5));
  expect(await readAll(reader, two)).toHaveLength(20_000);
  await collect(vault, 'one');
  expect(await readAll(reader, two)).toHaveLength(20_000);
  expect((await reader.verify([two], {level: 'data'})).findings).toEqual([]);
  expect(await reader.storedBytes([two])).toBe(20_000);
});

test('many small indexes are merged', async () => {
  const store = newStore();
  const vault = await open(store);
  for (let n = 0; n < 130; n++) await backup(vault, `${n}`, [{bytes: Buffer.from(`row ${n}`)}]);
  expect(await keysOf(store, 'index/')).toHaveLength(130);
  await collect(vault);
  expect(await keysOf(store, 'index/')).toHaveLength(1);
  expect(await findings(await open(store))).toEqual([]);
});

test('after any sequence of backups and drops, the remaining backups are intact', async () => {
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        write: fc.array(fc.record({seed: fc.nat(12), edit: fc.nat(3)}), {minLength: 1, maxLength: 8}),
      }),
    },
    {weight: 2, arbitrary: fc.record({drop: fc.nat()})},
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 14}), async (steps) => {
      const store = newStore();
      const vaults = [
        await open(store, {graceMs: 0, clock: fakeClock()}),
        await open(store, {graceMs: 0, clock: fakeClock()}),
      ];
      const kept = new Map<string, {recipe: Recipe; expected: Buffer}>();
      const latest = new Map<number, Recipe['chunks'][number]>();
      for (const [n, action] of steps.entries()) {
        const vault = vaults[n % 2]!;
        if ('write' in action) {
          const chunks = action.write.map(({seed, edit}) => ({seed, bytes: changed(noise(3000, seed), edit * 100)}));
          const recipe = await backup(
            vault,
            `${n}`,
            chunks.map(({seed, bytes}) => ({bytes, ...(latest.has(seed) ? {like: latest.get(seed)!} : {})})),
          );
          for (const [at, {seed}] of chunks.entries()) latest.set(seed, recipe.chunks[at]!);
          kept.set(`${n}`, {recipe, expected: Buffer.concat(chunks.map(({bytes}) => bytes))});
        } else if (kept.size > 0) {
          const name = [...kept.keys()][action.drop % kept.size]!;
          kept.delete(name);
          await collect(vault, name);
        }
        for (const {recipe, expected} of kept.values()) {
          expect((await readAll(vaults[(n + 1) % 2]!, recipe)).equals(expected)).toBe(true);
        }
      }
      const last = await open(store, {graceMs: 0});
      expect(await findings(last)).toEqual([]);
      await collect(last, ...kept.keys());
      expect(await keysOf(store)).toEqual(['bkp.json']);
    }),
    {numRuns: 25},
  );
});
