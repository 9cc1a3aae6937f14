import {expect, test} from 'vitest';
import type {Store} from '../../src/stores/index.ts';
import {createKeys, openVault, parseSecret, type Secret, unlock} from '../../src/vault/index.ts';
import {withChecksum} from '../../src/vault/keys/sealed-json.ts';
import {backup, changed, copyOf, encryptedWith, findings, keysOf, newStore, noise, testKey} from '../vault/helpers.ts';

const encryption = encryptedWith(testKey);
const open = (store: Store) => openVault({store, create: true, encryption});

async function twoBackups() {
  const store = newStore();
  const opened = await open(store);
  await backup(opened, '20250101000000Z_full', [{bytes: noise(200_000, 1)}]);
  await backup(opened, '20250102000000Z_full', [{bytes: noise(3_000, 2)}]);
  opened.close();
  return {store};
}

const vault = 'ab'.repeat(16);

async function made(secret: Secret) {
  const store = newStore();
  const {ring} = await createKeys({store, nowMs: 0}, vault, {secret, label: 'first'});
  return {store, ring};
}

test('each byte that changes in a manifest or an index is found, and is damage', async () => {
  const {store} = await twoBackups();
  const keys = (await keysOf(store)).filter((key) => /manifest$|^index/.test(key));
  for (const key of keys) {
    const original = await store.get(key);
    const step = Math.ceil(original.length / 60);
    for (let at = 0; at < original.length; at += at < 48 ? 1 : step) {
      await store.put(key, changed(original, at));
      const vault = await open(store);
      const codes = await codesOf(vault);
      // An index that cannot be read is replaced by the tables of the packs.
      if (!key.startsWith('index')) expect(codes, `byte ${at} of ${key}`).not.toEqual([]);
      for (const code of codes) {
        expect(['OBJECT_DAMAGED', 'no index lists'], `byte ${at} of ${key}`).toContain(code);
      }
      vault.close();
    }
    await store.put(key, original);
  }
});

async function codesOf(vault: Awaited<ReturnType<typeof open>>): Promise<string[]> {
  try {
    return (await findings(vault)).map(({what, detail}) =>
      what === 'damaged' ? 'OBJECT_DAMAGED' : detail.slice(0, 'no index lists'.length),
    );
  } catch (error) {
    return [(error as {code: string}).code];
  }
}

test('a vault’s keys open with a password', async () => {
  const {store, ring} = await made(parseSecret('correct horse'));
  expect((await unlock(store, parseSecret('correct horse'), {vault})).ring.keys).toEqual(ring.keys);
  await expect(unlock(store, parseSecret('correct horsf'), {vault})).rejects.toMatchObject({code: 'SECRET_WRONG'});
});

test('slots with impossible or weak derivations are refused', async () => {
  const {store} = await made(parseSecret('password'));
  const slots = (await keysOf(store)).filter((name) => name.includes('slots/'));
  for (const [member, value] of [
    ['memoryKiB', 1024],
    ['memoryKiB', 8 * 1024 * 1024],
    ['passes', 1000],
    ['parallelism', 0],
  ] as const) {
    const copy = await copyOf(store);
    for (const one of slots) {
      const {checksum: _, ...slot} = JSON.parse(Buffer.from(await store.get(one)).toString());
      slot.kdf[member] = value;
      await copy.put(one, withChecksum(slot));
    }
    await expect(unlock(copy, parseSecret('password'), {vault})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  }
});
