import {describe, expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import {readPackTable} from '../../../src/vault/format/pack.ts';
import type {ChunkId, PackId, Recipe, Vault} from '../../../src/vault/index.ts';
import {type Fault, faultyStore} from '../../helpers/faulty-store.ts';
import fc from '../../seeds/fast-check.ts';
import {
  backup,
  changed,
  copyOf,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  newStore,
  noise,
  open,
  readAll,
} from '../helpers.ts';

type Copied = {vault: Vault; writer: Awaited<ReturnType<Vault['writer']>>};

/** Copies streams as one backup. */
async function copy(from: Vault, to: Vault, name: string, ...recipes: Recipe[]): Promise<Copied['writer']['stats']> {
  const writer = await to.writer({purpose: `copy ${name}`});
  try {
    await writer.copyFrom(from, recipes);
    expect(await writer.commit(manifestKey(name), manifestOf(...recipes))).toBe('written');
    return writer.stats;
  } finally {
    await writer.close();
  }
}

const rows = (count: number) => Array.from({length: count}, (_, n) => ({bytes: Buffer.from(`row ${n}\n`)}));
const first = Array.from({length: 5}, (_, seed) => ({bytes: noise(9000, seed)}));

/** A vault with self-contained chunks, differences to them, and a long recipe. */
async function makeSource() {
  const store = newStore();
  const vault = await open(store);
  const one = await backup(vault, 'one', first);
  const likes = first.map(({bytes}, n) => ({bytes: changed(bytes, n * 11), like: one.chunks[n]!}));
  const two = await backup(vault, 'two', [...likes, ...rows(300)]);
  return {store, vault, one, two};
}

const stored = async (store: Store, prefix: string) => {
  let sizeBytes = 0;
  for await (const facts of store.list(prefix)) sizeBytes += facts.sizeBytes;
  return sizeBytes;
};

test('streams with differences and lists are copied completely, in their stored form', async () => {
  const source = await makeSource();
  const target = newStore();
  await copy(source.vault, await open(target), 'two', source.two);
  const other = await open(target);
  expect(await findings(other)).toEqual([]);
  expect((await readAll(other, source.two)).equals(await readAll(source.vault, source.two))).toBe(true);
  // With their bases, the differences stay small.
  expect(await other.storedBytes([source.two])).toBe(await source.vault.storedBytes([source.two]));
  expect(await stored(target, 'packs/')).toBeLessThan(1.1 * (await stored(source.store, 'packs/')));
});

test('what the target already has is not stored again, and counts as done', async () => {
  const source = await makeSource();
  const target = newStore();
  const vault = await open(target);
  // Written by the target's own backup, not by a copy.
  await backup(vault, 'own', first.slice(0, 3));
  const stats = await copy(source.vault, vault, 'one', source.one);
  expect(stats).toMatchObject({newChunks: 2, chunks: 5, newBytes: 18_000, logicalBytes: 45_000});
  const writer = await vault.writer({purpose: 'again'});
  const progress: [number, number][] = [];
  await writer.copyFrom(source.vault, [source.one], {progress: (...figures) => progress.push(figures)});
  expect(progress).toEqual([[45_000, 45_000]]);
  expect(writer.stats).toMatchObject({newChunks: 0, storedBytes: 0});
  await writer.close();
});

test('progress rises from what the target has to the total', async () => {
  const source = await makeSource();
  const vault = await open(newStore());
  await backup(vault, 'own', first.slice(0, 3));
  const writer = await vault.writer({purpose: 'copy'});
  const progress: [number, number][] = [];
  await writer.copyFrom(source.vault, [source.one, source.two], {progress: (...figures) => progress.push(figures)});
  const total = await source.vault.storedBytes([source.one, source.two]);
  expect(progress[0]).toEqual([27_000, total]);
  expect(progress.at(-1)).toEqual([total, total]);
  for (const [at, [done]] of progress.entries()) expect(done).toBeGreaterThanOrEqual(progress[at - 1]?.[0] ?? 0);
  await writer.close();
});

test('one request reads a pack that is mostly needed, or neighbours of another pack', async () => {
  const store = newStore();
  const vault = await open(store);
  const wide = Array.from({length: 40}, (_, seed) => ({bytes: noise(20_000, seed)}));
  const all = await backup(vault, 'all', wide);
  const few = await backup(vault, 'few', [wide[3]!, wide[4]!, wide[5]!, wide[30]!]);
  const reads = async (recipe: Recipe) => {
    const counting = faultyStore(store, {at: 0, fault: 'fail'});
    await copy(await open(counting), await open(newStore()), 'copy', recipe);
    return counting.calls.filter((call) => call.startsWith('get packs/')).length;
  };
  expect(await reads(all)).toBe(1);
  // Too far apart to read the gap between them.
  expect(await reads(few)).toBe(2);
});

describe('the base of a difference', () => {
  test('is copied self-contained if the target has it only as a difference', async () => {
    const bytes = noise(50_000, 1);
    const middle = changed(bytes, 100);
    const last = changed(middle, 200);
    // In the source `middle` is self-contained, in the target it is a difference.
    const source = await open(newStore());
    const base = await backup(source, 'base', [{bytes: middle}]);
    const wanted = await backup(source, 'wanted', [{bytes: last, like: base.chunks[0]!}]);
    const target = await open(newStore());
    const own = await backup(target, 'own', [{bytes}]);
    await backup(target, 'own2', [{bytes: middle, like: own.chunks[0]!}]);
    await copy(source, target, 'wanted', wanted);
    expect(await findings(target)).toEqual([]);
    expect((await readAll(target, wanted)).equals(last)).toBe(true);
  });

  test('is not copied if the target already has the chunk', async () => {
    const bytes = noise(50_000, 1);
    const next = changed(bytes, 100);
    const source = await open(newStore());
    const base = await backup(source, 'base', [{bytes}]);
    const wanted = await backup(source, 'wanted', [{bytes: next, like: base.chunks[0]!}]);
    const target = await open(newStore());
    await backup(target, 'own', [{bytes: next}]);
    expect(await copy(source, target, 'wanted', wanted)).toMatchObject({newChunks: 0});
  });

  test('is not needed for a chunk that the target has lost and that may be a base there', async () => {
    const bytes = noise(50_000, 1);
    const next = changed(bytes, 100);
    const source = await open(newStore());
    const base = await backup(source, 'base', [{bytes}]);
    const wanted = await backup(source, 'wanted', [{bytes: next, like: base.chunks[0]!}]);
    const store = newStore();
    const target = await open(store);
    const own = await backup(target, 'own', [{bytes: next}]);
    const [pack] = await keysOf(store, 'packs/');
    await backup(target, 'counting', [{bytes: changed(next, 300), like: own.chunks[0]!}]);
    await store.delete([pack!]);
    await copy(source, target, 'wanted', wanted);
    expect(await findings(await open(store))).toEqual([]);
  });
});

test.each<Fault>(['end after', 'fail'])(
  'a copy that meets “%s” at any store call of the target leaves it intact, and the next copy continues',
  async (fault) => {
    const source = await makeSource();
    const start = newStore();
    const own = await backup(await open(start), 'own', first.slice(0, 2));
    const attempt = async (store: Store, pid: number, dead: number[]) => {
      const host = {...fakeHost(pid), isAlive: (other: number) => !dead.includes(other)};
      const vault = await open(store, {create: false, host, clock: fakeClock()});
      return copy(source.vault, vault, 'two', source.one, source.two);
    };
    const counting = faultyStore(await copyOf(start), {at: 0, fault});
    const whole = await attempt(counting, 1, []);
    expect(whole.newChunks).toBeGreaterThan(300);
    for (let at = 1; at <= counting.calls.length; at++) {
      const store = await copyOf(start);
      const call = `call ${at}: ${counting.calls[at - 1]}`;
      await attempt(faultyStore(store, {at, fault}), 1, []).catch(() => {});
      const between = await open(store, {create: false});
      expect(await findings(between), call).toEqual([]);
      expect((await readAll(between, own)).length, call).toBe(18_000);
      const packs = await keysOf(store, 'packs/');
      const isCommitted = (await store.stat(manifestKey('two'))) !== undefined;
      if (!isCommitted) {
        const again = await attempt(store, 2, [1]);
        // A pack that the first attempt copied is not copied again.
        if (packs.length > 1) expect(again.newChunks, call).toBe(0);
      }
      const after = await open(store, {create: false});
      expect(await findings(after), call).toEqual([]);
      for (const recipe of [source.one, source.two]) {
        expect((await readAll(after, recipe)).equals(await readAll(source.vault, recipe)), call).toBe(true);
      }
    }
  },
);

test('a failure of the source at any call is reported, and nothing is committed', async () => {
  const source = await makeSource();
  const counting = faultyStore(source.store, {at: 0, fault: 'fail'});
  await copy(await open(counting, {create: false}), await open(newStore()), 'two', source.two);
  expect(counting.calls.length).toBeGreaterThan(3);
  for (let at = 2; at <= counting.calls.length; at++) {
    const target = newStore();
    const vault = await open(target);
    const failing = await open(faultyStore(source.store, {at, fault: 'fail'}), {create: false});
    await expect(copy(failing, vault, 'two', source.two)).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
    expect(await keysOf(target, '.backups/')).toEqual([]);
    await copy(failing, vault, 'two', source.two);
    expect(await findings(vault)).toEqual([]);
  }
});

describe('damage in the source', () => {
  /** The location of a chunk in the source's store. */
  async function locationOf(store: Store, id: ChunkId) {
    for await (const {key, sizeBytes} of store.list('packs/')) {
      const pack = key.slice('packs/00/'.length) as PackId;
      const entry = (await readPackTable(store, pack, sizeBytes)).find((one) => one.id === id);
      if (entry !== undefined) return {key, pack, ...entry};
    }
    throw new Error(`chunk ${id} is in no pack`);
  }

  test('of a chunk is named, and nothing is committed', async () => {
    const source = await makeSource();
    const id = source.one.chunks[2]!;
    const {key, pack, offset} = await locationOf(source.store, id);
    await source.store.put(key, changed(await source.store.get(key), offset + 7));
    const target = newStore();
    await expect(copy(source.vault, await open(target), 'one', source.one)).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringMatching(/^not all can be copied from memory: .*is not what was written/),
      context: {key, pack, chunk: id},
    });
    expect(await keysOf(target, '.backups/')).toEqual([]);
    expect(await keysOf(target, 'locks/')).toEqual([]);
  });

  test('of a base affects the differences to it', async () => {
    const source = await makeSource();
    const {key, offset} = await locationOf(source.store, source.one.chunks[1]!);
    await source.store.put(key, changed(await source.store.get(key), offset + 7));
    const target = newStore();
    await expect(copy(source.vault, await open(target), 'two', source.two)).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      context: {chunk: source.one.chunks[1]!},
    });
    expect(await keysOf(target, '.backups/')).toEqual([]);
  });

  test('of a missing pack is named', async () => {
    const source = await makeSource();
    const {key} = await locationOf(source.store, source.one.chunks[0]!);
    await source.store.delete([key]);
    const target = newStore();
    await expect(copy(source.vault, await open(target), 'one', source.one)).rejects.toMatchObject({
      code: 'OBJECT_MISSING',
    });
    expect(await keysOf(target, '.backups/')).toEqual([]);
  });

  test('does no harm if another pack has the chunk too', async () => {
    const store = newStore();
    // Two concurrent writers store the same chunk twice.
    const vaults = [await open(store), await open(store)];
    const writers = await Promise.all(vaults.map((vault) => vault.writer({purpose: 'race'})));
    const recipes = await Promise.all(
      writers.map((writer, n) => writer.write([...first.slice(0, 2), {bytes: noise(500, 90 + n)}])),
    );
    for (const [n, writer] of writers.entries()) {
      await writer.commit(manifestKey(`${n}`), manifestOf(recipes[n]!));
      await writer.close();
    }
    const packs = await keysOf(store, 'packs/');
    expect(packs).toHaveLength(2);
    const {key, offset} = await locationOf(store, recipes[0]!.chunks[0]!);
    await store.put(key, changed(await store.get(key), offset + 7));
    const vault = await open(newStore());
    // Without its own chunk, so that the other pack has all of it.
    const shared = {sizeBytes: 18_000, depth: 0, chunks: recipes[0]!.chunks.slice(0, 2)};
    await copy(await open(store), vault, 'shared', shared);
    expect((await readAll(vault, shared)).length).toBe(18_000);
  });
});

test('a copy finds chunks that a collector of the source moves meanwhile', async () => {
  const store = newStore();
  const old = await open(store);
  await backup(old, 'dropped', first);
  const kept = await backup(old, 'kept', first.slice(3));
  // It now knows all locations.
  expect(await readAll(old, kept)).toHaveLength(18_000);
  const elsewhere = await open(store, {graceMs: 0});
  const collector = await elsewhere.collector({purpose: 'cleanup'});
  await collector.remove([manifestKey('dropped')]);
  await collector.execute(await collector.plan());
  await collector.close();
  const vault = await open(newStore());
  await copy(old, vault, 'kept', kept);
  expect(await findings(vault)).toEqual([]);
});

test('a copy can be cancelled', async () => {
  const source = await makeSource();
  const vault = await open(newStore());
  const writer = await vault.writer({purpose: 'copy'});
  const stop = new AbortController();
  const copying = writer.copyFrom(source.vault, [source.two], {signal: stop.signal, progress: () => stop.abort()});
  await expect(copying).rejects.toMatchObject({name: 'AbortError'});
  await writer.close();
});

test('whatever two vaults contain, a copied stream is intact in both', async () => {
  const write = fc.array(fc.record({seed: fc.nat(8), edit: fc.nat(4)}), {minLength: 1, maxLength: 8});
  const step = fc.record({side: fc.nat(1), write, isCopied: fc.boolean()});
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 8}), async (steps) => {
      const vaults = [await open(newStore()), await open(newStore())];
      const latest = [new Map<number, ChunkId>(), new Map<number, ChunkId>()];
      for (const [n, {side, write: plan, isCopied}] of steps.entries()) {
        const likes = latest[side]!;
        const pieces = plan.map(({seed, edit}) => ({
          seed,
          bytes: changed(noise(4000, seed), edit * 100),
          ...(likes.has(seed) ? {like: likes.get(seed)!} : {}),
        }));
        const recipe = await backup(vaults[side]!, `${n}`, pieces);
        for (const [at, {seed}] of pieces.entries()) likes.set(seed, recipe.chunks[at]!);
        if (!isCopied) continue;
        await copy(vaults[side]!, vaults[1 - side]!, `copy-${n}`, recipe);
        const expected = Buffer.concat(pieces.map(({bytes}) => bytes));
        expect((await readAll(vaults[1 - side]!, recipe)).equals(expected)).toBe(true);
      }
      for (const vault of vaults) expect(await findings(vault)).toEqual([]);
    }),
    {numRuns: 25},
  );
});
