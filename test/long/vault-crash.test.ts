import {expect, test} from 'vitest';
import type {Store} from '../../src/stores/index.ts';
import type {Recipe, VaultOptions} from '../../src/vault/index.ts';
import {type Fault, faultyStore} from '../helpers/faulty-store.ts';
import {
  backup,
  changed,
  copyOf,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestKey,
  newStore,
  noise,
  open,
  readAll,
} from '../vault/helpers.ts';

/** A process that ends before a call leaves the same store as one that ends after the previous call. */
const faults: Fault[] = ['end after', 'fail'];

const first = Array.from({length: 5}, (_, seed) => noise(8000, seed));
const second = [
  ...first.slice(0, 2).map((bytes) => changed(bytes, 99)),
  ...Array.from({length: 150}, (_, n) => Buffer.from(`row ${n % 5}`)),
];

/** Opens the vault as another process of one machine, which knows which processes have ended. */
function processes(): (pid: number) => VaultOptions['host'] & object {
  const dead = new Set<number>();
  return (pid) => {
    for (let before = 1; before < pid; before++) dead.add(before);
    return {...fakeHost(pid), isAlive: (other) => !dead.has(other)};
  };
}

/** The vault opens, and the named backups verify and are read back. */
async function expectSound(
  store: Store,
  host: VaultOptions['host'] & object,
  backups: Record<string, {recipe: Recipe; pieces: Buffer[]}>,
) {
  const vault = await open(store, {create: false, host});
  expect(await findings(vault)).toEqual([]);
  for (const [name, {recipe, pieces}] of Object.entries(backups)) {
    expect((await vault.manifest(manifestKey(name))).streams).toEqual([recipe]);
    expect((await readAll(vault, recipe)).equals(Buffer.concat(pieces))).toBe(true);
  }
  return vault;
}

const asPieces = (pieces: Buffer[], likes: Recipe['chunks'] = []) =>
  pieces.map((bytes, n) => ({bytes, ...(likes[n] === undefined ? {} : {like: likes[n]})}));

test.each(faults)(
  'a backup that meets “%s” at any store call leaves a sound vault, and the next try works',
  async (fault) => {
    const start = newStore();
    const one = await backup(await open(start), 'one', asPieces(first));
    const backups = {one: {recipe: one, pieces: first}};
    const attempt = async (store: Store, host: VaultOptions['host'] & object) =>
      backup(await open(store, {create: false, host, clock: fakeClock()}), 'two', asPieces(second, one.chunks));

    const counting = faultyStore(await copyOf(start), {at: 0, fault});
    await attempt(counting, fakeHost(1));
    const wholePacks = (await keysOf(counting, 'packs/')).length;
    for (let at = 1; at <= counting.calls.length; at++) {
      const store = await copyOf(start);
      const host = processes();
      await attempt(faultyStore(store, {at, fault}), host(1)).catch(() => {});
      const call = `call ${at}: ${counting.calls[at - 1]}`;
      await expectSound(store, host(2), backups);
      const packsBefore = await keysOf(store, 'packs/');
      const isCommitted = (await store.stat(manifestKey('two'))) !== undefined;
      const recipe = await attempt(store, host(3));
      await expectSound(store, host(4), {...backups, two: {recipe, pieces: second}});
      // The second attempt uses what the first one wrote, and has nothing left to write.
      const packsAfter = await keysOf(store, 'packs/');
      expect(packsAfter.length, call).toBe(wholePacks);
      if (isCommitted) expect(packsAfter, call).toEqual(packsBefore);
      expect(await keysOf(store, 'locks/'), call).toEqual([]);
    }
  },
);

test.each(faults)(
  'a collector that meets “%s” at any store call leaves a sound vault, and the next try ends it',
  async (fault) => {
    const start = newStore();
    const vault = await open(start);
    // What is dropped: packs that nothing needs then, and one of which a third is still needed.
    await backup(vault, 'dropped', asPieces([...first, noise(30_000, 50)]));
    const kept = await backup(vault, 'kept', asPieces(first.slice(1, 3)));
    const based = await backup(vault, 'based', asPieces([changed(first[1]!, 5)], [kept.chunks[0]!]));
    await backup(vault, 'dead', asPieces([noise(9000, 60)]));
    const backups = {
      kept: {recipe: kept, pieces: first.slice(1, 3)},
      based: {recipe: based, pieces: [changed(first[1]!, 5)]},
    };

    const collect = async (store: Store, host: VaultOptions['host'] & object) => {
      const collecting = await open(store, {create: false, host, clock: fakeClock(), graceMs: 0});
      const collector = await collecting.collector({purpose: 'cleanup'});
      try {
        const drop = (await keysOf(store, '.backups/')).filter((key) => /dropped|dead/.test(key));
        await collector.remove(drop);
        return await collector.execute(await collector.plan());
      } finally {
        await collector.close();
      }
    };
    const counting = faultyStore(await copyOf(start), {at: 0, fault});
    expect((await collect(counting, fakeHost(1))).freedBytes).toBeGreaterThan(40_000);
    const cleanPacks = await keysOf(counting, 'packs/');
    const cleanBytes = await sizeOf(counting);
    expect(counting.calls.some((call) => call.startsWith('put packs/'))).toBe(true);
    for (let at = 1; at <= counting.calls.length; at++) {
      const store = await copyOf(start);
      const host = processes();
      await collect(faultyStore(store, {at, fault}), host(1)).catch(() => {});
      await expectSound(store, host(2), backups);
      await collect(store, host(3));
      const call = `call ${at}: ${counting.calls[at - 1]}`;
      expect(await keysOf(store, 'packs/'), call).toHaveLength(cleanPacks.length);
      expect(await sizeOf(store), call).toBeLessThan(cleanBytes + 1000);
      const after = await expectSound(store, host(4), backups);
      // The vault can still be written.
      await backup(after, 'next', asPieces(second));
      expect(await findings(after), call).toEqual([]);
    }
  },
);

async function sizeOf(store: Store): Promise<number> {
  let sizeBytes = 0;
  for await (const facts of store.list('')) sizeBytes += facts.sizeBytes;
  return sizeBytes;
}

test('a store that stalls delays the backup, but no other reader', async () => {
  const start = newStore();
  const one = await backup(await open(start), 'one', asPieces(first));
  const stalled = faultyStore(start, {at: 12, fault: 'stall'});
  const attempt = open(stalled, {create: false}).then((vault) => backup(vault, 'two', asPieces(second)));
  const outcome = await Promise.race([
    attempt.then(
      () => 'done',
      () => 'failed',
    ),
    new Promise((resolve) => setTimeout(resolve, 300, 'stalled')),
  ]);
  expect(outcome).toBe('stalled');
  await expectSound(start, fakeHost(2), {one: {recipe: one, pieces: first}});
});
