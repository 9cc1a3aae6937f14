import {expect, test} from 'vitest';
import {type Key, wrapStore} from '../../../src/stores/index.ts';
import {keysPrefix, packsPrefix} from '../../../src/vault/format/key.ts';
import type {Vault} from '../../../src/vault/index.ts';
import {backup, changed, fakeClock, fakeHost, keysOf, manifestKey, noise} from '../helpers.ts';
import {change, expectWhole, made, open, openedBy, reencrypt, rotate, unlocked} from './re-encrypted.ts';

test('after a re-encryption the old keys open nothing, the new ones everything, and all backups restore', async () => {
  const {store, old, backups} = await made();
  const before = await keysOf(store);
  expect((await openedBy(store, old)).closed).toEqual([]);
  const vault = await open(store);
  await change(store, vault, rotate);
  const {objects, damaged} = await reencrypt(store, vault);
  expect(damaged).toEqual([]);
  const {ring} = await unlocked(store, vault);
  expect(ring.reencrypting).toBeUndefined();
  for (const keys of [ring.keys.data, ring.keys.meta]) {
    expect(keys.map(({retired}) => retired !== undefined)).toEqual([true, false]);
  }
  const {opened, closed} = await openedBy(store, old);
  expect(opened).toEqual([]);
  expect(objects).toBe(closed.length);
  const newest = {...ring.keys, data: ring.keys.data.slice(-1), meta: ring.keys.meta.slice(-1)};
  expect((await openedBy(store, newest)).closed).toEqual([]);
  // In place: no object came, and none went.
  const withoutKeys = (keys: string[]) => keys.filter((key) => !key.startsWith(keysPrefix));
  expect(withoutKeys(await keysOf(store))).toEqual(withoutKeys(before));
  await expectWhole(store, backups);
});

test('a backup that began under the old keys ends, and what it wrote is sealed again before the end', async () => {
  const {store, old, backups} = await made();
  const clock = fakeClock();
  const [vault, other] = [await open(store, {clock}), await open(store, {clock, host: fakeHost(2)})];
  const writer = await other.writer({purpose: 'a backup', subject: 'collection shop'});
  await change(store, vault, rotate);
  const phases: string[] = [];
  const running = vault.reencrypt({
    purpose: 'test',
    progress: ({phase}) => phases.push(phase),
    finish: async () => {
      await change(store, vault, {reencryption: 'done'});
      return true;
    },
  });
  for (let waited = 0; !phases.includes('waiting') && waited < 500; waited++)
    await new Promise((r) => setTimeout(r, 2));
  const recipe = await writer.write([{bytes: noise(9_000, 7)}]);
  await writer.commit(manifestKey('three'), {kind: 'test', streams: [recipe], body: {}});
  expect((await openedBy(store, old)).opened).toContain(manifestKey('three'));
  await writer.close();
  expect((await running).damaged).toEqual([]);
  expect((await openedBy(store, old)).opened).toEqual([]);
  await expectWhole(store, {...backups, three: recipe});
});

test('a writer that was paused for ten minutes, while everything was sealed again, commits nothing', async () => {
  const {store, old, backups} = await made();
  const [clock, elsewhere] = [fakeClock(), fakeClock()];
  const vault = await open(store, {clock: elsewhere});
  const paused = await open(store, {clock, host: fakeHost(2, 'another machine')});
  const writer = await paused.writer({purpose: 'a backup', subject: 'collection shop'});
  const recipe = await writer.write([{bytes: noise(9_000, 7)}]);
  await change(store, vault, rotate);
  expect((await reencrypt(store, vault)).damaged).toEqual([]);
  clock.advance(10 * 60_000);
  const commit = writer.commit(manifestKey('three'), {kind: 'test', streams: [recipe], body: {}});
  await expect(commit).rejects.toMatchObject({code: 'VAULT_LOCKED'});
  expect((await openedBy(store, old)).opened.filter((key) => key.endsWith('/manifest'))).toEqual([]);
  await expectWhole(store, backups);
});

test('whoever takes a lease after a rotation writes with the new keys', async () => {
  const {store, old} = await made();
  const [vault, other] = [await open(store), await open(store, {host: fakeHost(2)})];
  await change(store, vault, rotate);
  await backup(other, 'three', [{bytes: noise(9_000, 7)}]);
  const {opened} = await openedBy(store, old);
  expect(opened).not.toContain(manifestKey('three'));
  expect(opened).toContain(manifestKey('two'));
});

test('what is damaged stays as it is, is named, and keeps the old keys', async () => {
  const {store} = await made();
  const pack = (await keysOf(store, packsPrefix))[0]!;
  const bytes = changed(await store.get(pack), 100);
  await store.put(pack, bytes);
  const vault = await open(store);
  await change(store, vault, rotate);
  expect((await reencrypt(store, vault)).damaged).toMatchObject([{key: pack}]);
  expect(Buffer.compare(await store.get(pack), bytes)).toBe(0);
  expect((await unlocked(store, vault)).ring.reencrypting).toBeDefined();
});

test('a put that the store does not keep leaves the object as it was', async () => {
  const {store, backups} = await made();
  const lying = wrapStore(store, {
    put: (key, body, options) =>
      store.put(key, key.startsWith(packsPrefix) ? changed(body, body.length - 1) : body, options),
  });
  const vault = await open(store);
  await change(store, vault, rotate);
  let puts = 0;
  const once = wrapStore(lying, {
    put: (key, body, options) =>
      key.startsWith(packsPrefix) && puts++ > 0 ? store.put(key, body, options) : lying.put(key, body, options),
  });
  const {damaged} = await reencrypt(store, await open(once));
  expect(damaged).toHaveLength(1);
  await expectWhole(store, backups);
});

test('a put over a manifest that arrives after its removal does not bring the backup back', async () => {
  const {store, backups} = await made();
  const vault = await open(store);
  await change(store, vault, rotate);
  const late: (() => Promise<unknown>)[] = [];
  const paused = wrapStore(store, {
    put: (key, body, options) => {
      if (!key.endsWith('/manifest')) return store.put(key, body, options);
      late.push(() => store.put(key, body, options));
      throw new Error('paused here');
    },
  });
  await expect(reencrypt(store, await open(paused, {host: fakeHost(5)}))).rejects.toThrow('paused here');
  const collector = await vault.collector({purpose: 'test'});
  await collector.remove([manifestKey('one')]);
  await collector.execute(await collector.plan());
  await collector.close();
  for (const put of late) await put();
  const after = await open(store);
  expect(await keysIn(after)).toEqual([manifestKey('two')]);
  await expectWhole(store, {two: backups.two!});
  // The next collector removes it again.
  const next = await after.collector({purpose: 'test'});
  await next.execute(await next.plan());
  await next.close();
  expect((await keysOf(store, '.backups/')).filter((key) => key.endsWith('/manifest'))).toHaveLength(1);
  await reencrypt(store, after);
  expect(await keysOf(store, 'reseals/')).toHaveLength(1);
});

test('a manifest whose put was repeated stays noted, because a copy of the put may be on its way', async () => {
  const {store} = await made();
  const vault = await open(store);
  await change(store, vault, rotate);
  const repeating = wrapStore(store, {
    put: async (key, body, options) => {
      if (key.endsWith('/manifest')) options?.onRepeated?.();
      return store.put(key, body, options);
    },
  });
  await reencrypt(store, await open(repeating, {host: fakeHost(5)}));
  expect(await keysOf(store, 'reseals/')).toHaveLength(1);
});

async function keysIn(vault: Vault): Promise<Key[]> {
  const keys: Key[] = [];
  for await (const key of vault.keys('.backups/')) if (key.endsWith('/manifest')) keys.push(key);
  return keys;
}

test('a key that was changed meanwhile is the one that everything is sealed with at the end', async () => {
  const {store, backups} = await made();
  const vault = await open(store);
  await change(store, vault, rotate);
  let tries = 0;
  await vault.reencrypt({
    purpose: 'test',
    finish: async () => {
      tries += 1;
      await change(store, vault, tries === 1 ? rotate : {reencryption: 'done'});
      return tries > 1;
    },
  });
  const {keys} = (await unlocked(store, vault)).ring;
  const newest = {...keys, data: keys.data.slice(-1), meta: keys.meta.slice(-1)};
  expect((await openedBy(store, newest)).closed).toEqual([]);
  await expectWhole(store, backups);
});

test('a store that locks objects is left alone', async () => {
  const {store} = await made();
  const vault = await open({...store, retain: async () => {}});
  await expect(reencrypt(store, vault)).rejects.toMatchObject({code: 'PRECONDITION'});
});
