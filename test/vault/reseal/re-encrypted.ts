import {expect} from 'vitest';
import {type Key, openMemoryStore, type Store} from '../../../src/stores/index.ts';
import {SealKeys} from '../../../src/vault/crypto/frame.ts';
import {HiddenNames} from '../../../src/vault/crypto/hidden-names.ts';
import {PackOpener} from '../../../src/vault/crypto/pack-object.ts';
import {openObject} from '../../../src/vault/crypto/small-object.ts';
import {headerKey, keysPrefix, packsPrefix} from '../../../src/vault/format/key.ts';
import {
  changeKeys,
  openVault,
  type Recipe,
  unlock,
  type Vault,
  type VaultKeys,
  type VaultOptions,
} from '../../../src/vault/index.ts';
import {
  backup,
  encryptedWith,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestKey,
  noise,
  readAll,
  testKey,
} from '../helpers.ts';

export const open = (store: Store, options: Partial<VaultOptions> = {}) =>
  openVault({store, create: true, encryption: encryptedWith(testKey), clock: fakeClock(), graceMs: 0, ...options});

/** Opens the vault as a process that finds those with lower ids dead, and closes it after the work. */
export async function asProcess<T>(store: Store, pid: number, work: (vault: Vault) => Promise<T>): Promise<T> {
  const isAlive = (other: number) => other >= pid;
  const vault = await open(store, {host: {...fakeHost(pid), isAlive}});
  try {
    return await work(vault);
  } finally {
    vault.close();
  }
}

export const unlocked = async (store: Store, vault: Vault) => unlock(store, testKey, {vault: vault.id});

export async function change(store: Store, vault: Vault, what: Parameters<typeof changeKeys>[2]) {
  return changeKeys({store, nowMs: 0}, await unlocked(store, vault), what);
}

export const rotate = {rotate: {data: true, meta: true}, reencryption: 'begun'} as const;

/** As `bkp vault key rotate --reencrypt` does after the rotation. */
export const reencrypt = (store: Store, vault: Vault) =>
  vault.reencrypt({
    purpose: 'test',
    finish: async () => {
      await change(store, vault, {reencryption: 'done'});
      return true;
    },
  });

/** A vault with two backups that share a chunk, a document, a note of damage, and one more pack that nothing needs. */
export async function made() {
  const store = openMemoryStore();
  const vault = await open(store);
  const shared = {bytes: noise(100_000, 1)};
  const one = await backup(vault, 'one', [shared, {bytes: noise(50_000, 2)}]);
  const two = await backup(vault, 'two', [shared, {bytes: noise(3_000, 3)}]);
  const writer = await vault.writer({purpose: 'test'});
  await writer.putDocument('.backups/collections/shop/definition/00000001', {name: 'shop'});
  await writer.close();
  await findings(vault);
  const {keys} = (await unlocked(store, vault)).ring;
  vault.close();
  return {store, old: keys, backups: {one, two} as Record<string, Recipe>};
}

export async function copyOf(store: Store): Promise<Store> {
  const copy = openMemoryStore();
  for (const key of await keysOf(store)) await copy.put(key, await store.get(key));
  return copy;
}

/** Keys of the objects that a ring's keys open; all but the header, what is below `keys/`, and leases. */
export async function openedBy(
  store: Store,
  {vault, names, data, meta}: VaultKeys,
): Promise<{opened: Key[]; closed: Key[]}> {
  const hidden = new HiddenNames(Buffer.from(names, 'hex'), vault);
  const packs = new PackOpener(new SealKeys(data, vault), vault);
  const [opened, closed]: [Key[], Key[]] = [[], []];
  for (const stored of await keysOf(store)) {
    if (stored === headerKey || stored.startsWith(keysPrefix)) continue;
    const bytes = await store.get(stored);
    const key = hidden.show(stored)!;
    let isOpen = true;
    try {
      if (!key.startsWith(packsPrefix)) openObject(new SealKeys(meta, vault), vault, key, bytes);
      else isOpen = packs.open(key, bytes.subarray(16), 0).isComplete;
    } catch {
      isOpen = false;
    }
    (isOpen ? opened : closed).push(key);
  }
  return {opened, closed};
}

export async function expectWhole(store: Store, backups: Record<string, Recipe>, context = '') {
  const vault = await open(store, {host: fakeHost(99)});
  expect(await findings(vault), context).toEqual([]);
  for (const [name, recipe] of Object.entries(backups)) {
    expect((await vault.manifest(manifestKey(name))).streams, context).toEqual([recipe]);
    expect((await readAll(vault, recipe)).length, context).toBe(recipe.sizeBytes);
  }
  vault.close();
}
