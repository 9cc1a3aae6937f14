import {expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import type {Recipe, Vault} from '../../../src/vault/index.ts';
import {backup, changed, copyOf, findings, keysOf, manifestKey, newStore, noise, open} from '../helpers.ts';

const first = Array.from({length: 5}, (_, seed) => ({bytes: noise(9000, seed)}));

/** Two backups, each with a pack of its own; the second has differences to the first, and a long recipe. */
async function make(): Promise<{store: Store; one: Recipe; two: Recipe; packs: string[]}> {
  const store = newStore();
  const vault = await open(store);
  const one = await backup(vault, 'one', first);
  const [old] = await keysOf(store, 'packs/');
  const likes = first.map(({bytes}, n) => ({bytes: changed(bytes, n * 11), like: one.chunks[n]!}));
  const rows = Array.from({length: 300}, (_, n) => ({bytes: Buffer.from(`row ${n}\n`)}));
  const two = await backup(vault, 'two', [...likes, ...rows]);
  const packs = [old!, ...(await keysOf(store, 'packs/')).filter((key) => key !== old)];
  return {store, one, two, packs};
}

const faults = async (vault: Vault, recipes: readonly Recipe[], options = {}) => {
  const survey = await vault.survey();
  return Promise.all(recipes.map(async (recipe) => (await survey.faultOf([recipe], options))?.code));
};

test('a survey reports backups that need a missing, truncated or damaged pack, and reads no data', async () => {
  for (const skipLists of [false, true]) {
    const {store, one, two, packs} = await make();
    expect(await faults(await open(store), [one, two], {skipLists})).toEqual([undefined, undefined]);
    const own = packs.at(-1)!;
    const bytes = await store.get(own);
    for (const [how, code] of [
      ['gone', 'OBJECT_MISSING'],
      ['cut off', 'OBJECT_MISSING'],
      ['empty', 'OBJECT_MISSING'],
      ['flipped and verified', 'OBJECT_DAMAGED'],
    ]) {
      const damaged = await copyOf(store);
      if (how === 'gone') await damaged.delete([own]);
      else if (how === 'flipped and verified') {
        await damaged.put(own, changed(bytes, 100));
        expect(await findings(await open(damaged))).not.toEqual([]);
      } else await damaged.put(own, how === 'empty' ? new Uint8Array() : bytes.subarray(0, -10));
      expect(await faults(await open(damaged), [one, two], {skipLists}), how).toEqual([undefined, code]);
    }
    // The bases of the differences count too.
    await store.delete([packs[0]!]);
    expect(await faults(await open(store), [one, two], {skipLists})).toEqual(['OBJECT_MISSING', 'OBJECT_MISSING']);
    await store.delete([...packs, ...(await keysOf(store, 'index/'))]);
    expect(await faults(await open(store), [one, two], {skipLists})).toEqual(['OBJECT_MISSING', 'OBJECT_MISSING']);
  }
});

test('an unreadable store is not reported as damage', async () => {
  const {store, one} = await make();
  const vault = await open({
    ...store,
    list: () => {
      throw new BkpError('STORE_UNAVAILABLE', 'the store is unavailable');
    },
  });
  await expect(faults(vault, [one])).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});

test('level structure reports a pack that was found damaged, until level data verifies it as intact', async () => {
  const {store, packs} = await make();
  const own = packs.at(-1)!;
  const bytes = await store.get(own);
  await store.put(own, changed(bytes, 100));
  const vault = await open(store);
  expect(await findings(vault, 'structure')).toEqual([]);
  expect(await findings(vault, 'data')).not.toEqual([]);
  for (const again of [vault, await open(store)]) {
    expect(await findings(again, 'structure')).toMatchObject([{what: 'damaged', key: own}]);
  }
  await store.put(own, bytes);
  expect(await findings(vault, 'structure')).not.toEqual([]);
  expect(await findings(vault, 'data')).toEqual([]);
  expect(await findings(vault, 'structure')).toEqual([]);
});

test('a collector does not accept a backup that needs a damaged pack as intact', async () => {
  const {store, packs} = await make();
  const own = packs.at(-1)!;
  await store.put(own, changed(await store.get(own), 100));
  const vault = await open(store);
  expect(await findings(vault)).not.toEqual([]);
  const collector = await vault.collector({purpose: 'test'});
  try {
    await collector.requireIntact([manifestKey('one')]);
    await expect(collector.requireIntact([manifestKey('two')])).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  } finally {
    await collector.close();
  }
});
