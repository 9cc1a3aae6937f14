import {expect, test} from 'vitest';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import {packsPrefix} from '../../../src/vault/format/key.ts';
import {changeKeys, mendKeys, type OlderKeys, openVault, unlock, type Vault} from '../../../src/vault/index.ts';
import {
  backup,
  changed,
  encryptedWith,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  lockingStore,
  manifestKey,
  newStore,
  noise,
  testKey,
} from '../helpers.ts';
import {change, expectWhole, made, open, openedBy, reencrypt, rotate, unlocked} from './re-encrypted.ts';

/** As `bkp vault key forget` does. */
const forget = (store: Store, vault: Vault, progress?: (done: number, total: number) => void): Promise<OlderKeys> =>
  vault.forgetKeys({
    purpose: 'test',
    ...(progress === undefined ? {} : {progress}),
    forget: async (ids, generation) => {
      const {ring} = await unlocked(store, vault);
      if (ring.keys.generation !== generation) return false;
      await change(store, vault, {forget: ids});
      return true;
    },
  });

async function reencrypted() {
  const world = await made();
  const vault = await open(world.store);
  await change(world.store, vault, rotate);
  await reencrypt(world.store, vault);
  return {...world, vault};
}

const idsOf = ({data, meta}: {data: readonly {id: string}[]; meta: readonly {id: string}[]}) =>
  [...data, ...meta].map(({id}) => id);

test('keys that nothing is sealed with leave the ring, with the rings before it, and all backups restore', async () => {
  const {store, old, backups, vault} = await reencrypted();
  const {unneeded, needed, unclear} = await forget(store, vault);
  expect([...unneeded].sort()).toEqual(idsOf(old).sort());
  expect([needed.size, unclear]).toEqual([0, []]);
  const {ring} = await unlocked(store, vault);
  expect([ring.keys.data.length, ring.keys.meta.length]).toEqual([1, 1]);
  expect(idsOf(ring.keys)).not.toContain(idsOf(old)[0]);
  const rings = (await keysOf(store, 'keys/')).filter((key) => key.includes('rings/'));
  expect(rings).toEqual(['keys/rings/00000004', 'keys/spare/rings/00000004']);
  await expectWhole(store, backups);
  // Later changes follow from it.
  await change(store, vault, {rotate: {data: true, meta: true}});
  await expectWhole(store, backups);
  expect(await mendKeys(store, vault.id, {ring: (await unlocked(store, vault)).ring})).toEqual([]);
});

test('a copy of a ring with forgotten keys that comes back gets no second copy', async () => {
  const {store, vault} = await reencrypted();
  const back = 'keys/rings/00000001';
  const bytes = await store.get(back);
  await forget(store, vault);
  await store.put(back, bytes);
  const {ring} = await unlocked(store, vault);
  expect(await mendKeys(store, vault.id, {ring})).toEqual([]);
  expect(await mendKeys(store, vault.id)).toEqual([]);
  expect((await keysOf(store, 'keys/')).filter((key) => key.includes('/00000001'))).toEqual([back]);
});

test('a key that one object needs stays, and is named with it', async () => {
  const {store, old, backups} = await made();
  const vault = await open(store);
  await change(store, vault, {rotate: {data: true, meta: true}});
  await backup(vault, 'three', [{bytes: noise(9_000, 7)}]);
  const before = await keysOf(store);
  const {unneeded, needed} = await forget(store, vault);
  expect(unneeded).toEqual([]);
  expect(new Set(needed.keys())).toEqual(new Set(idsOf(old)));
  expect(needed.get(old.data[0]!.id)!.example).toMatch(/^packs\//);
  expect(await keysOf(store)).toEqual(before);
  await expectWhole(store, backups);
});

test('of several older keys, those that nothing needs go and the others stay', async () => {
  const {store, vault, backups} = await reencrypted();
  const between = (await unlocked(store, vault)).ring.keys;
  await change(store, vault, {rotate: {data: true, meta: true}});
  await backup(vault, 'three', [{bytes: noise(9_000, 7)}]);
  await forget(store, vault);
  const {data} = (await unlocked(store, vault)).ring.keys;
  expect(data.map(({id}) => id).slice(0, -1)).toEqual([between.data.at(-1)!.id]);
  await expectWhole(store, backups);
});

test('an object whose first bytes are damaged keeps every key, because its content may still be read', async () => {
  const {store, vault} = await reencrypted();
  const pack = (await keysOf(store, packsPrefix))[0]!;
  await store.put(pack, changed(await store.get(pack), 9));
  const {unneeded, unclear} = await forget(store, vault);
  expect(unneeded).toEqual([]);
  expect(unclear).toMatchObject([{key: pack}]);
  expect((await unlocked(store, vault)).ring.keys.data).toHaveLength(2);
});

test('a backup that began with the old keys is waited for, and nothing of it is lost', async () => {
  const {store, backups} = await made();
  const clock = fakeClock();
  const [vault, other] = [await open(store, {clock}), await open(store, {clock, host: fakeHost(2)})];
  const writer = await other.writer({purpose: 'a backup', subject: 'collection shop'});
  const recipe = await writer.write([{bytes: noise(9_000, 7)}]);
  await change(store, vault, {rotate: {data: true, meta: true}});
  await expect(forget(store, vault)).rejects.toMatchObject({code: 'VAULT_LOCKED'});
  await writer.commit(manifestKey('three'), {kind: 'test', streams: [recipe], body: {}});
  await writer.close();
  expect((await forget(store, vault)).unneeded).toEqual([]);
  await expectWhole(store, {...backups, three: recipe});
});

test('backups begin and end between the two looks, and what they write is looked at', async () => {
  const {store, vault, backups} = await reencrypted();
  const other = await open(store, {host: fakeHost(2)});
  let recipe: Awaited<ReturnType<typeof backup>> | undefined;
  const beside = async () => {
    recipe ??= await backup(other, 'three', [{bytes: noise(9_000, 7)}]);
  };
  let looks = 0;
  const watched = wrapStore(store, {
    get: async (key, range) => {
      // One of the frames that are read beside backups.
      if (range?.end === 16 && ++looks === 3) await beside();
      return store.get(key, range);
    },
  });
  const {unneeded} = await forget(store, await open(watched, {host: fakeHost(3)}));
  expect(unneeded).toHaveLength(2);
  await expectWhole(store, {...backups, three: recipe!});
  expect((await unlocked(store, vault)).ring.keys.data).toHaveLength(1);
});

test('keys that were changed meanwhile are looked at again', async () => {
  const {store, vault, backups} = await reencrypted();
  let tries = 0;
  await vault.forgetKeys({
    purpose: 'test',
    forget: async (ids) => {
      tries += 1;
      await change(store, vault, tries === 1 ? {rotate: {data: true, meta: true}} : {forget: ids});
      return tries > 1;
    },
  });
  expect(tries).toBe(2);
  // The keys of before the second rotation are in use.
  expect((await unlocked(store, vault)).ring.keys.data).toHaveLength(2);
  await expectWhole(store, backups);
});

test('a verification that began before a rotation writes with the new keys what it found', async () => {
  const {store, old, backups} = await made();
  const early = await open(store, {host: fakeHost(2)});
  const vault = await open(store);
  await change(store, vault, rotate);
  await reencrypt(store, vault);
  // Opened with the old ring; it knows no other one until it writes.
  expect(await findings(early)).toEqual([]);
  expect((await openedBy(store, old)).opened).toEqual([]);
  expect((await forget(store, vault)).unneeded).toHaveLength(2);
  expect(await findings(early)).toEqual([]);
  await expectWhole(store, backups);
});

test('a local cache that was filled with the old keys is read from the store again', async () => {
  const {store, vault, backups} = await reencrypted();
  await forget(store, vault);
  // The same process reads on with what it keeps.
  for (const [name, recipe] of Object.entries(backups)) {
    expect((await vault.manifest(manifestKey(name))).streams).toEqual([recipe]);
  }
});

test('what a writer that was taken for dead writes late, with forgotten keys, is removed by a cleanup', async () => {
  const {store, backups} = await made();
  const [clock, elsewhere] = [fakeClock(), fakeClock()];
  const late: (() => Promise<unknown>)[] = [];
  const keys: string[] = [];
  const paused = wrapStore(store, {
    put: async (key, body, options) => {
      if (key.startsWith('locks/') || late.length > 3) return store.put(key, body, options);
      const bytes = Buffer.from(body);
      late.push(() => store.put(key, bytes, options));
      keys.push(key.split('/')[0]!);
      return 'written';
    },
  });
  const dead = await open(paused, {clock, host: fakeHost(2, 'another machine')});
  const writer = await dead.writer({purpose: 'a backup', subject: 'collection shop'});
  await writer.write([{bytes: noise(70_000, 7)}]);
  const recipe = await writer.write([{bytes: noise(9_000, 8)}]);
  await writer.commit(manifestKey('three'), {kind: 'test', streams: [recipe], body: {}}).catch(() => {});
  expect(keys).toEqual(['packs', 'index', '.backups']);
  const vault = await open(store, {clock: elsewhere});
  await change(store, vault, rotate);
  expect((await reencrypt(store, vault)).damaged).toEqual([]);
  expect((await forget(store, vault)).unneeded).toHaveLength(2);
  for (const put of late) await put();
  const after = await open(store, {host: fakeHost(4)});
  const collector = await after.collector({purpose: 'test'});
  await collector.execute(await collector.plan());
  await collector.close();
  const {ring} = await unlocked(store, after);
  const left = (await openedBy(store, ring.keys)).closed;
  expect(left).toEqual([]);
  await expectWhole(store, backups);
});

test('a reader that listed the keys just before the removal of its ring finds the next one', async () => {
  const {store, vault} = await reencrypted();
  let isFirst = true;
  const slow = wrapStore(store, {
    get: async (key, range) => {
      if (isFirst && key.includes('rings/')) {
        isFirst = false;
        await forget(store, vault);
      }
      return store.get(key, range);
    },
  });
  const reader = await openVault({store: slow, encryption: encryptedWith(testKey)});
  expect(reader.encryption!.generation).toBe(4);
  reader.close();
});

test('backups extend the locks of the newest ring and its slots, and of no older ones', async () => {
  const clock = {nowMs: 1_795_000_000_000};
  const inner = newStore();
  const store = lockingStore(inner, clock, 30);
  const options = {store, create: true, encryption: encryptedWith(testKey)};
  const withClock = {...options, clock: {...fakeClock(), wallMs: () => clock.nowMs}};
  const vault = await openVault(withClock);
  await backup(vault, '20250101000000Z_full', [{bytes: noise(1000, 1)}]);
  const before = await unlock(store, testKey, {vault: vault.id});
  const other = {secret: {kind: 'key' as const, bytes: Buffer.alloc(20, 8)}, label: 'other'};
  const {added} = await changeKeys({store, nowMs: 0}, before, {add: other});
  await changeKeys({store, nowMs: 0}, await unlock(store, testKey, {vault: vault.id}), {remove: [added!.id]});
  // The lock keeps the object of the slot that was removed.
  expect((await keysOf(inner, 'keys/slots/')).length).toBe(2);
  clock.nowMs += 24 * 60 * 60 * 1000;
  store.asked.length = 0;
  await backup(vault, '20250102000000Z_full', [{bytes: noise(1000, 2)}]);
  const [slot] = before.ring.slots;
  expect(store.asked.filter((key) => key.startsWith('keys/')).sort()).toEqual(
    ['rings/00000003', `slots/${slot!.id}`].flatMap((name) => [`keys/${name}`, `keys/spare/${name}`]).sort(),
  );
  vault.close();
});

test('a foreign file whose name is no key is no object of the vault', async () => {
  const {store} = await reencrypted();
  const withFile = wrapStore(store, {
    async *list(prefix, options) {
      if (prefix === '') yield {key: 'notes (1).txt', sizeBytes: 1, modifiedAtMs: 0};
      yield* store.list(prefix, options);
    },
  });
  const {unneeded, needed, unclear} = await forget(withFile, await open(withFile));
  expect([unneeded.length, needed.size, unclear]).toEqual([2, 0, []]);
});
