import {expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import {changed, findings, keysOf, noise, open} from '../helpers.ts';
import {count, expectAllReadable, make, merge} from './small-packs.ts';

test('many small packs become one with one index, whatever needs them, and no manifest is read', async () => {
  const {store, backups} = await make();
  const reads: string[] = [];
  const get: Store['get'] = (key, range) => {
    reads.push(key);
    return store.get(key, range);
  };
  const vault = await open(wrapStore(store, {get}));
  expect(await merge(vault)).toBe(70);
  expect(reads.filter((key) => key.endsWith('/manifest'))).toEqual([]);
  expect(await merge(vault)).toBe(0);
  expect(await count(store)).toEqual({packs: 1, indexes: 1, notes: 0, locks: 0});
  await expectAllReadable(store, backups);
  expect(await findings(vault)).toEqual([]);
  vault.close();
});

test('a backup that was verified stays verified', async () => {
  const {store, backups} = await make();
  const vault = await open(store);
  await findings(vault);
  await merge(vault);
  const survey = await vault.survey();
  for (const recipe of backups.keys()) expect(await survey.verifiedMs([recipe])).toBeGreaterThan(0);
  vault.close();
});

test('packs that stay keep their index entries', async () => {
  const {store} = await make();
  const vault = await open(store);
  const writer = await vault.writer({purpose: 'backup'});
  // One index lists a large pack and small ones.
  const large = await writer.write([{bytes: noise(2_000_000, 1)}]);
  await writer.commit('.backups/collections/shop/large/manifest', {kind: 'test', streams: [large], body: null});
  await writer.close();
  expect(await merge(vault)).toBe(70);
  const reads: string[] = [];
  const get: Store['get'] = (key, range) => {
    reads.push(key);
    return store.get(key, range);
  };
  const other = await open(wrapStore(store, {get}));
  await (await other.writer({purpose: 'backup'})).close();
  // A pack that no index lists would have its own table read.
  expect(reads.filter((key) => key.startsWith('packs/'))).toEqual([]);
  expect(await findings(other)).toEqual([]);
  vault.close();
  other.close();
});

test('a damaged pack stays as it is, and is still found', async () => {
  const {store} = await make();
  const damaged = (await keysOf(store, 'packs/'))[7]!;
  await store.put(damaged, changed(await store.get(damaged), 100));
  const vault = await open(store);
  expect(await merge(vault)).toBe(69);
  expect(await keysOf(store, 'packs/')).toContain(damaged);
  expect((await findings(vault)).some(({key}) => key === damaged)).toBe(true);
  vault.close();
});

test('nothing is written with credentials that may not remove objects, or into a store that locks them', async () => {
  const {store} = await make();
  const denied = async () => {
    throw new BkpError('STORE_DENIED', 'these credentials may not remove objects');
  };
  for (const limited of [wrapStore(store, {delete: denied}), wrapStore(store, {retain: async () => {}})]) {
    const before = (await keysOf(store)).filter((key) => !key.startsWith('locks/'));
    const vault = await open(limited);
    expect(await merge(vault)).toBe(0);
    expect((await keysOf(store)).filter((key) => !key.startsWith('locks/'))).toEqual(before);
    vault.close();
  }
});
