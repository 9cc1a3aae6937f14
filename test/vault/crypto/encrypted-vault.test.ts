import {blake3} from '@napi-rs/blake-hash';
import {expect, test} from 'vitest';
import {openMemoryStore, type Store} from '../../../src/stores/index.ts';
import {HiddenNames} from '../../../src/vault/crypto/hidden-names.ts';
import {plainPackBytes, sealedPackBytes, segmentBytes} from '../../../src/vault/crypto/pack-object.ts';
import {sealedStore} from '../../../src/vault/crypto/sealed-store.ts';
import {changeKeys, openVault, unlock} from '../../../src/vault/index.ts';
import {framesIn} from '../../helpers/canaries.ts';
import {
  backup,
  changed,
  encryptedWith,
  fakeClock,
  findings,
  keysOf,
  manifestKey,
  newStore,
  noise,
  readAll,
  testKey,
} from '../helpers.ts';

const encryption = encryptedWith(testKey);
const open = (store: Store) => openVault({store, create: true, encryption});

/** A vault with two backups, which share a chunk. */
async function twoBackups(store: Store = newStore()) {
  const vault = await open(store);
  const shared = {bytes: noise(200_000, 1)};
  const first = await backup(vault, '20250101000000Z_full', [shared, {bytes: Buffer.from('CANARY '.repeat(5000))}]);
  const second = await backup(vault, '20250102000000Z_full', [shared, {bytes: noise(3_000, 2)}]);
  vault.close();
  return {store, first, second};
}

test('what a backup wrote is read by the next opening, verified, and collected', async () => {
  const {store, first} = await twoBackups();
  const vault = await open(store);
  const bytes = await readAll(vault, first);
  expect(bytes.subarray(0, 200_000).equals(noise(200_000, 1))).toBe(true);
  expect(await findings(vault)).toEqual([]);
  const collector = await vault.collector({purpose: 'test'});
  await collector.remove([manifestKey('20250101000000Z_full')]);
  await collector.execute(await collector.plan());
  await collector.close();
  expect(await findings(vault)).toEqual([]);
  expect((await keysOf(store)).filter((key) => key.endsWith('/manifest'))).toHaveLength(1);
});

test('no object, removed ones included, contains a name, content, or a hash of content', async () => {
  const inner = newStore();
  const everPut: {key: string; body: Uint8Array}[] = [];
  const recording: Store = {
    ...inner,
    put: (key, body, options) => {
      everPut.push({key, body: Uint8Array.from(body)});
      return inner.put(key, body, options);
    },
  };
  const {store} = await twoBackups(recording);
  const vault = await open(store);
  const writer = await vault.writer({purpose: 'CANARY purpose', subject: 'collection CANARY'});
  await writer.putDocument('.backups/collections/CANARY/definition/00000001', {name: 'CANARY'});
  await writer.close();
  await findings(vault);
  const chunk = blake3(noise(200_000, 1));
  const wanted = [Buffer.from('CANARY'), Buffer.from('shop'), chunk, Buffer.from(chunk.toString('hex'))];
  wanted.push(Buffer.from(Buffer.from('CANARY').toString('base64')), Buffer.from('CANARY', 'utf16le'));
  const kinds = new Set<string>();
  for (const {key, body} of everPut) {
    kinds.add(key.split('/')[0]!);
    const texts = [Buffer.from(key), Buffer.from(body), ...framesIn(Buffer.from(body))];
    for (const text of texts) {
      for (const canary of wanted) expect(text.includes(canary), `${key} contains ${canary.toString()}`).toBe(false);
    }
  }
  expect([...kinds].sort()).toEqual(['.backups', 'bkp.json', 'index', 'keys', 'locks', 'packs', 'verified'].sort());
});

test('an object in the place of another one of its kind is refused', async () => {
  const {store} = await twoBackups();
  const keys = (await keysOf(store)).filter((key) => /manifest$|^index|^packs/.test(key));
  const kindOf = (key: string) => (key.endsWith('/manifest') ? 'manifest' : key.split('/')[0]!);
  const pairs = keys.flatMap((a) => keys.filter((b) => b !== a && kindOf(a) === kindOf(b)).map((b) => [a, b] as const));
  expect(pairs.length).toBeGreaterThanOrEqual(6);
  for (const [a, b] of pairs) {
    const original = await store.get(a);
    await store.put(a, await store.get(b));
    const vault = await open(store);
    const found = await findings(vault).catch((error: {code: string}) => [error]);
    expect(found.length, `${b} as ${a}`).toBeGreaterThan(0);
    for (const one of found as {code?: string}[]) expect(one.code ?? 'OBJECT_DAMAGED').toBe('OBJECT_DAMAGED');
    await store.put(a, original);
    vault.close();
  }
});

test('an object of another vault with the same secret is refused', async () => {
  const [{store}, other] = [await twoBackups(), await twoBackups()];
  const key = (await keysOf(store)).find((one) => one.endsWith('20250101000000Z_full/manifest'))!;
  const theirs = (await keysOf(other.store)).find((one) => one.endsWith('20250101000000Z_full/manifest'))!;
  await store.put(key, await other.store.get(theirs));
  const vault = await open(store);
  await expect(vault.manifest(manifestKey('20250101000000Z_full'))).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
});

test('an object that is not encrypted is neither read nor listed', async () => {
  const plain = newStore();
  const vaultInPlain = await openVault({store: plain, create: true});
  await backup(vaultInPlain, '20250101000000Z_full', [{bytes: noise(1000, 1)}]);
  const {store} = await twoBackups();
  for (const key of await keysOf(plain)) if (key !== 'bkp.json') await store.put(key, await plain.get(key));
  const hidden = (await keysOf(store)).find((one) => one.endsWith('20250102000000Z_full/manifest'))!;
  await store.put(hidden, await plain.get(manifestKey('20250101000000Z_full')));
  const vault = await open(store);
  await expect(vault.manifest(manifestKey('20250102000000Z_full'))).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  const listed: string[] = [];
  for await (const key of vault.keys('.backups/')) listed.push(key);
  expect(listed).toEqual([manifestKey('20250101000000Z_full'), manifestKey('20250102000000Z_full')]);
});

test('a byte that changes in a pack is found, and damages only what is near it', async () => {
  const store = newStore();
  const vault = await open(store);
  const pieces = Array.from({length: 8}, (_, seed) => ({bytes: noise(segmentBytes, seed + 1)}));
  const recipe = await backup(vault, '20250101000000Z_full', pieces);
  vault.close();
  const [key] = (await keysOf(store, 'packs/')) as [string];
  const original = await store.get(key);
  const third = 16 + 2 * (segmentBytes + 16) + 5;
  await store.put(key, changed(original, third));
  const reopened = await open(store);
  const {findings: found} = await reopened.verify([recipe], {level: 'data'});
  const damaged = found.filter(({chunk}) => chunk !== undefined);
  expect(damaged.length).toBeGreaterThanOrEqual(1);
  expect(damaged.length).toBeLessThanOrEqual(2);
});

test('a lease whose content does not open is respected until its time is over', async () => {
  const {store} = await twoBackups();
  await store.put(`locks/${'a'.repeat(32)}/00000000`, Buffer.from('{"version": 1}'));
  const clock = fakeClock();
  const vault = await openVault({store, encryption, clock, lockWaitMs: 10});
  const writer = await vault.writer({purpose: 'test'});
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(120_000);
  await writer.close();
});

test('lengths of packs convert both ways, and those of damaged ones never to the right one', () => {
  for (const plain of [1, 100, segmentBytes - 1, segmentBytes, segmentBytes + 1, 3 * segmentBytes, 16 * 1024 * 1024]) {
    const sealed = sealedPackBytes(plain);
    expect(plainPackBytes(sealed)).toBe(plain);
    for (const by of [-40, -17, -16, -1, 1, 16, 17, 40]) {
      expect(plainPackBytes(Math.max(0, sealed + by))).not.toBe(plain);
    }
  }
});

test('names are hidden, always in the same way, and shown again', () => {
  const names = new HiddenNames(Buffer.alloc(32, 1), 'ab'.repeat(16));
  for (const name of ['a', 'shop', 'caf%C3%A9', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(180)]) {
    for (const rest of ['', '20250101000000Z_full/manifest']) {
      const key = `.backups/collections/${name}/${rest}`;
      const hidden = names.hide(key);
      expect(hidden).not.toContain(name.length > 1 ? name : '/a/');
      expect(hidden.split('/').every((part) => part.length <= 255)).toBe(true);
      expect(names.show(hidden)).toBe(key);
      expect(names.hide(key)).toBe(hidden);
      const other = new HiddenNames(Buffer.alloc(32, 2), 'ab'.repeat(16));
      expect(other.show(hidden)).toBeUndefined();
    }
  }
  expect(names.show('.backups/collections/shop/definition/00000001')).toBeUndefined();
  expect(names.hide('packs/ab/abc')).toBe('packs/ab/abc');
});

test('a folder whose name is another spelling of a hidden one is nobody’s: a backup is not listed twice', () => {
  const names = new HiddenNames(Buffer.alloc(32, 1), 'ab'.repeat(16));
  // Of 80 bytes, so the last character has bits that mean nothing.
  const hidden = names.hideName('x'.repeat(40));
  const last = hidden.at(-1)!;
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const other = hidden.slice(0, -1) + alphabet[alphabet.indexOf(last) ^ 1]!;
  expect(Buffer.from(other, 'base64url')).toEqual(Buffer.from(hidden, 'base64url'));
  const keyIn = (folder: string) => `.backups/collections/${folder}/20250101000000Z_full/manifest`;
  expect(names.show(keyIn(hidden))).toBe(keyIn('x'.repeat(40)));
  for (const folder of [other, `${hidden}=`, `${hidden}.`]) expect(names.show(keyIn(folder))).toBeUndefined();
});

test('a pack under another name than that of its bytes is not sealed: its nonce comes from the name', async () => {
  const {store} = await twoBackups();
  const vault = await open(store);
  const sealed = sealedStore(store, await encryption.unlock(store, vault.id));
  vault.close();
  const before = await keysOf(store, 'packs/');
  await expect(sealed.put(`packs/ab/${'ab'.repeat(32)}`, noise(1000, 9))).rejects.toThrow('named by its hash');
  expect(await keysOf(store, 'packs/')).toEqual(before);
});

test('what differs little in size has objects of one size', async () => {
  const sizes = new Set<number>();
  for (const rows of [1000, 1010, 1020]) {
    const store = openMemoryStore();
    const vault = await open(store);
    await backup(vault, '20250101000000Z_full', [{bytes: noise(rows * 100, 1)}]);
    vault.close();
    const [pack] = (await keysOf(store, 'packs/')) as [string];
    sizes.add((await store.get(pack)).length);
  }
  expect(sizes.size).toBeLessThanOrEqual(2);
});

test('a listing that begins after a key shows the same as without encryption', async () => {
  const {store} = await twoBackups();
  const vault = await open(store);
  const writer = await vault.writer({purpose: 'test'});
  await writer.putDocument('.backups/collections/another/definition/00000001', {});
  await writer.putDocument('backup/gentle-forest-orchid/instance', {});
  await writer.close();
  const keysAfter = async (prefix: string, after?: string) => {
    const keys: string[] = [];
    for await (const key of vault.keys(prefix, after === undefined ? {} : {after})) keys.push(key);
    return keys;
  };
  for (const prefix of ['.backups/', '.backups/collections/', '.backups/collections/shop/', 'backup/']) {
    const all = await keysAfter(prefix);
    expect(all).toEqual([...all].sort());
    expect(all.length).toBeGreaterThan(0);
    for (const after of ['', '.backups/collections/b', 'backup/a', 'c', ...all]) {
      expect(await keysAfter(prefix, after)).toEqual(all.filter((key) => key > after));
    }
  }
});

test('a vault that was opened before a rotation reads and verifies what was written after it', async () => {
  const {store, first} = await twoBackups();
  const before = await open(store);
  const from = await unlock(store, testKey, {vault: before.id});
  await changeKeys({store, nowMs: 0}, from, {rotate: {data: true, meta: true}});
  const after = await open(store);
  const third = await backup(after, '20250103000000Z_full', [{bytes: noise(100_000, 3)}]);
  after.close();
  expect((await readAll(before, third)).equals(noise(100_000, 3))).toBe(true);
  expect((await readAll(before, first)).subarray(0, 200_000).equals(noise(200_000, 1))).toBe(true);
  expect(await findings(before)).toEqual([]);
  // Its own next backup is one that all can read.
  const fourth = await backup(before, '20250104000000Z_full', [{bytes: noise(50_000, 4)}]);
  before.close();
  const last = await open(store);
  expect((await readAll(last, fourth)).equals(noise(50_000, 4))).toBe(true);
  expect(await findings(last)).toEqual([]);
  last.close();
});
