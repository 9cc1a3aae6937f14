import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';
import {
  backup,
  fakeClock,
  fakeHost,
  findings,
  manifestKey,
  manifestOf,
  newStore,
  noise,
  open,
  readAll,
  serverStore,
} from '../helpers.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-listing-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(10_000, seed)}));

test('opening a vault lists nothing, and reading from it lists the indexes once', async () => {
  const store = newStore();
  const recipe = await backup(await open(store), 'one', pieces(1, 2));
  const counting = faultyStore(store, {at: 0, fault: 'fail'});
  const vault = await open(counting, {create: false});
  await vault.manifest(manifestKey('one'));
  expect(counting.calls).toEqual(['get bkp.json', `get ${manifestKey('one')}`]);
  await Promise.all([readAll(vault, recipe), readAll(vault, recipe), vault.storedBytes([recipe])]);
  expect(counting.calls.filter((call) => call.startsWith('list'))).toEqual(['list index/']);
});

test('an index that could not be read is read when it is needed again', async () => {
  const store = newStore();
  const recipe = await backup(await open(store), 'one', pieces(1, 2));
  // The third call, after the header and the listing, reads the index.
  const vault = await open(faultyStore(store, {at: 3, fault: 'fail'}), {create: false});
  await expect(readAll(vault, recipe)).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  expect(await readAll(vault, recipe)).toHaveLength(20_000);
});

test('a writer lists a server once, and again if it waited for another lease', async () => {
  const store = serverStore();
  await backup(await open(store), 'one', pieces(1));
  const lists = async (meanwhile: () => Promise<void>) => {
    const counting = faultyStore(store, {at: 0, fault: 'fail'});
    const clock = fakeClock();
    const sleep = async (ms: number) => {
      await meanwhile();
      await clock.sleep(ms);
    };
    const vault = await open(counting, {create: false, clock: {...clock, sleep}, host: fakeHost(2)});
    await (await vault.writer({purpose: 'backup'})).close();
    return counting.calls.filter((call) => call.startsWith('list')).map((call) => call.replace(/[0-9a-f]{32}/, 'ID'));
  };
  expect(await lists(async () => {})).toEqual(['list ']);
  const collector = await (await open(store, {host: fakeHost(1)})).collector({purpose: 'cleanup'});
  // The second listing shows no lease, the third only the writer's own one.
  expect(await lists(() => collector.close())).toEqual(['list ', 'list locks/', 'list locks/', 'list ']);
});

test('a vault on a disk works beside folders that cannot be listed', async () => {
  const store = newStore();
  await open(store);
  const shut: Store = {
    ...store,
    list: (prefix) => {
      if (prefix === '') throw new Error('EACCES: System Volume Information');
      return store.list(prefix);
    },
  };
  const vault = await open(shut);
  await backup(vault, 'one', pieces(1));
  expect(await findings(vault)).toEqual([]);
});

/** Lists in pages, as a server does, or by folder; `between` runs right before `key`. */
function paged(store: Store, key: string, between: () => Promise<void>): Store {
  return {
    ...store,
    async *list(prefix) {
      if (prefix !== '') {
        if (prefix === key) await between();
        yield* store.list(prefix);
        return;
      }
      for await (const facts of store.list('')) if (facts.key < key) yield facts;
      await between();
      for await (const facts of store.list('')) if (facts.key >= key) yield facts;
    },
  };
}

describe.each([
  ['a server', serverStore],
  ['a folder', newStore],
])('a collector that ends while %s is listed', (_, makeStore) => {
  const places = ['damaged/', 'index/', 'locks/'];
  test.each(places.flatMap((key) => ['with a copy of the index', 'without'].map((how) => [key, how])))(
    'right before %s does not break a backup, %s',
    async (key, how) => {
      const store: Store = makeStore();
      const setUp = await open(store, {graceMs: 0, host: fakeHost(1)});
      const cacheFile = join(folder, 'index.db');
      const old = await open(store, how === 'without' ? {} : {cacheFile});
      await backup(old, 'dropped', pieces(1, 2, 3, 4));
      const kept = await backup(old, 'kept', pieces(4, 5));
      old.close();
      const collector = await setUp.collector({purpose: 'cleanup'});
      await collector.remove([manifestKey('dropped')]);
      const plan = await collector.plan();
      expect(plan.sparsePacks).toHaveLength(1);
      let ended = false;
      const listed = paged(store, key!, async () => {
        if (ended) return;
        ended = true;
        await collector.execute(plan);
        await collector.close();
      });
      const vault = await open(listed, {host: fakeHost(2), ...(how === 'without' ? {} : {cacheFile})});
      const writer = await vault.writer({purpose: 'backup'});
      const recipe = await writer.write(pieces(1, 2, 4, 5, 6));
      // Two chunks are still in the vault, whether or not the collector moved them.
      expect(writer.stats.newChunks).toBe(3);
      await writer.commit(manifestKey('next'), manifestOf(recipe));
      await writer.close();
      expect(ended).toBe(true);
      expect(await findings(vault)).toEqual([]);
      const other = await open(store);
      expect(await findings(other)).toEqual([]);
      expect(await readAll(other, kept)).toHaveLength(20_000);
      vault.close();
    },
  );
});

test('packs that another process adds while the store is listed are not taken for absent', async () => {
  const store = serverStore();
  const cacheFile = join(folder, 'index.db');
  const other = await open(store, {cacheFile});
  let added = false;
  const listed = paged(store, '~', async () => {
    if (added) return;
    added = true;
    await backup(other, 'other', pieces(1, 2));
  });
  const vault = await open(listed, {cacheFile});
  const writer = await vault.writer({purpose: 'backup'});
  const recipe = await writer.write(pieces(1, 2, 3));
  expect(added).toBe(true);
  expect(writer.stats.newChunks).toBe(1);
  await writer.commit(manifestKey('next'), manifestOf(recipe));
  await writer.close();
  expect(await findings(other)).toEqual([]);
});
