import {expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import {vaultLayout} from '../../../src/vault/format/key.ts';
import {type BackupMemory, type GoneBackup, type KnownBackup, openVault, type Vault} from '../../../src/vault/index.ts';
import {backup, encryptedWith, keysOf, manifestKey, newStore, noise, testKey} from '../helpers.ts';

const folder = '.backups/collections/shop/';
const names = [1, 2, 3, 4, 5].map((day) => `2025010${day}000000Z_full`);
const [b1, b2, b3, b4, b5] = names as [string, string, string, string, string];

/** What one machine remembers, with what it was told. */
function machine() {
  const known = new Map<string, KnownBackup>();
  const told: GoneBackup[] = [];
  const memory: BackupMemory = {
    load: () => known,
    save: (_, changed) => {
      for (const [name, one] of changed) one === undefined ? known.delete(name) : known.set(name, one);
    },
    onGone: (gone) => told.push(gone),
  };
  return {memory, told};
}

const open = (store: Store, memory?: BackupMemory) =>
  openVault({store, create: true, encryption: encryptedWith(testKey), backupMemory: memory});

async function using<T>(store: Store, memory: BackupMemory | undefined, use: (vault: Vault) => Promise<T>): Promise<T> {
  const vault = await open(store, memory);
  try {
    return await use(vault);
  } finally {
    vault.close();
  }
}

async function listed(vault: Vault, prefix = folder): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of vault.keys(prefix)) keys.push(key);
  return keys;
}

const take = (store: Store, memory: BackupMemory | undefined, ...wanted: string[]) =>
  using(store, memory, async (vault) => {
    await listed(vault);
    for (const name of wanted) await backup(vault, name, [{bytes: noise(1000, Number(name.slice(0, 8)))}]);
  });

/** Lists as SHOW does, and reads each manifest. */
const look = (store: Store, memory?: BackupMemory) =>
  using(store, memory, async (vault) => {
    const keys = await listed(vault, '.backups/collections/');
    for (const key of keys) if (key.endsWith('/manifest')) await vault.manifest(key);
    return vault.gone('').map(({backup}) => backup);
  });

const remove = (store: Store, memory: BackupMemory | undefined, ...gone: string[]) =>
  using(store, memory, async (vault) => {
    const collector = await vault.collector({purpose: 'test'});
    await collector.remove(gone.map(manifestKey));
    await collector.close();
  });

/** Removes as somebody without the keys does: everything below folders of these names. */
async function steal(store: Store, ...wanted: string[]) {
  const keys = (await keysOf(store, '.backups/')).filter((key) => wanted.some((part) => key.includes(part)));
  expect(keys.length).toBeGreaterThan(0);
  await store.delete(keys);
}

/** What is in the folder beside backups, with the hidden name left out. */
const notesOf = async (store: Store) =>
  (await keysOf(store, '.backups/'))
    .map((key) =>
      key
        .split('/')
        .slice(3)
        .join('/')
        .replace(/-[0-9a-f]{32}$/, ''),
    )
    .filter((key) => /^(newest|removed)\//.test(key));

test('a machine that has seen the newest backup says that it is gone, until there is a newer one', async () => {
  const store = newStore();
  const [writer, reader, fresh] = [machine(), machine(), machine()];
  await take(store, writer.memory, b1, b2);
  expect(await look(store, reader.memory)).toEqual([]);
  await steal(store, b2);
  for (const {memory, told} of [writer, reader]) {
    expect(await look(store, memory)).toEqual([b2]);
    expect(await look(store, memory)).toEqual([b2]);
    expect(told[0]).toEqual({folder, backup: b2, isSeenHere: true, left: b1});
  }
  // Its `newest/` was removed too.
  expect(await look(store, fresh.memory)).toEqual([]);
  await take(store, writer.memory, b3);
  for (const {memory} of [writer, reader, fresh]) expect(await look(store, memory)).toEqual([]);
  await steal(store, b3);
  for (const {memory} of [writer, reader, fresh]) expect(await look(store, memory)).toEqual([b3]);
});

test('a machine that has not seen it says so too if only the backup is gone, as in a partial copy', async () => {
  const store = newStore();
  await take(store, undefined, b1, b2);
  await steal(store, `${b2}/`);
  const fresh = machine();
  expect(await look(store, fresh.memory)).toEqual([b2]);
  expect(fresh.told).toEqual([{folder, backup: b2, isSeenHere: false, left: b1}]);
});

test('a whole folder that is gone is missed, also by a listing of all folders', async () => {
  const store = newStore();
  const {memory, told} = machine();
  await take(store, memory, b1);
  await steal(store, '.backups/');
  expect(await look(store, memory)).toEqual([b1]);
  expect(told).toEqual([{folder, backup: b1, isSeenHere: true}]);
  expect(await using(store, memory, async (vault) => [await listed(vault), vault.gone(folder).length])).toEqual([
    [],
    1,
  ]);
});

test('what is removed with the keys is missed by nobody, whichever backups these are', async () => {
  for (const gone of [[b1], [b3], [b2, b3], [b1, b2, b3]]) {
    const store = newStore();
    const [one, other] = [machine(), machine()];
    await take(store, one.memory, b1, b2, b3);
    await look(store, other.memory);
    await remove(store, other.memory, ...gone);
    const machines = [one, other, machine()];
    for (const {memory, told} of machines) expect([await look(store, memory), told]).toEqual([[], []]);
    // A machine that saw only b2, when b3 was the newest that was removed.
    await take(store, one.memory, b4);
    for (const {memory} of machines) expect(await look(store, memory)).toEqual([]);
    expect(await notesOf(store)).toEqual([`newest/${b4}`]);
  }
});

test('a machine that slept through a retention and a removal of the newest one misses nothing', async () => {
  const store = newStore();
  const [one, sleeper] = [machine(), machine()];
  await take(store, one.memory, b1, b2);
  await look(store, sleeper.memory);
  await take(store, one.memory, b3, b4);
  await remove(store, one.memory, b2, b3);
  await remove(store, one.memory, b4);
  for (const {memory} of [one, sleeper]) expect(await look(store, memory)).toEqual([]);
  await steal(store, b1);
  for (const {memory} of [one, sleeper]) expect(await look(store, memory)).toEqual([b1]);
});

test('a note of a removal that is put back explains nothing that is gone later', async () => {
  const store = newStore();
  const {memory} = machine();
  await take(store, memory, b1, b2);
  await remove(store, memory, b2);
  const [note] = (await keysOf(store, '.backups/')).filter((key) => key.includes('/removed/')) as [string];
  const kept = await store.get(note);
  // Copied from another store: the same name once more.
  await take(store, memory, b2);
  await look(store, memory);
  await store.put(note, kept);
  await steal(store, `${b2}/`, 'newest/');
  expect(await look(store, memory)).toEqual([b2]);
});

test('what was made without the keys neither hides that a backup is gone, nor makes one look so', async () => {
  const store = newStore();
  const {memory, told} = machine();
  await take(store, memory, b1, b2);
  const [hidden] = (await keysOf(store, '.backups/')).map((key) => key.split('/')[2]!) as [string];
  const forged = (rest: string, body = noise(300, 9)) => store.put(`.backups/collections/${hidden}/${rest}`, body);
  await forged(`newest/${b5}`);
  await forged('newest/29991399000000Z_full');
  await forged(`${b5}/manifest`);
  expect(await look(store, memory).catch(() => told)).toEqual([]);
  await steal(store, `${b2}/`, `newest/${b2}`);
  await forged(`removed/${b4}-${'a'.repeat(32)}`);
  const gone = await using(store, memory, async (vault) => [await listed(vault), vault.gone(folder)][1]);
  expect(gone).toMatchObject([{backup: b2}]);
  // The user drops the forged one, which is damaged for all that bkp can see: that says nothing about b2.
  await remove(store, memory, b5);
  expect(await look(store, memory)).toEqual([b2]);
});

test('a damaged newest backup may be dropped, and a pinned one is there', async () => {
  const store = newStore();
  const {memory} = machine();
  await take(store, memory, b1, b2);
  const manifest = (await keysOf(store, '.backups/')).find((key) => key.endsWith(`/${b2}/manifest`))!;
  await store.put(manifest, noise(300, 1));
  expect(await using(store, memory, async (vault) => [await listed(vault), vault.gone('')][1])).toEqual([]);
  await remove(store, undefined, b2);
  expect(await look(store, memory)).toEqual([]);
  await take(store, memory, b3);
  await using(store, memory, async (vault) => {
    const pin = await vault.writer({purpose: 'pin'});
    await pin.commit(`${folder}pins/${b3}/00000001/manifest`, await vault.manifest(manifestKey(b3)));
    await pin.close();
  });
  await steal(store, `/${b3}/manifest`);
  expect(await using(store, memory, async (vault) => [await listed(vault), vault.gone('')][1])).toMatchObject([]);
});

test('nobody misses the newest backup that was removed beside a later one that does not open', async () => {
  const store = newStore();
  const [one, other] = [machine(), machine()];
  await take(store, one.memory, b1, b2);
  await look(store, other.memory);
  const [hidden] = (await keysOf(store, '.backups/')).map((key) => key.split('/')[2]!) as [string];
  await store.put(`.backups/collections/${hidden}/${b5}/manifest`, noise(300, 9));
  await remove(store, one.memory, b2);
  for (const {memory, told} of [one, other]) {
    expect(await using(store, memory, async (vault) => [await listed(vault), vault.gone('')][1])).toEqual([]);
    expect(told).toEqual([]);
  }
});

test('an older backup that is copied to a vault is not its newest one', async () => {
  const store = newStore();
  await take(store, undefined, b3);
  await take(store, undefined, b1);
  expect(await notesOf(store)).toEqual([`newest/${b3}`]);
});

test('a backup that never counted is not gone', async () => {
  const store = newStore();
  const {memory} = machine();
  await take(store, memory, b1);
  // Seen while its writer was putting it, which then withdrew it.
  await using(store, memory, async (vault) => {
    const lost: Store = {
      ...store,
      put: async (key, body, options) => {
        const outcome = await store.put(key, body, options);
        if (!key.endsWith(`${b2}/manifest`)) return outcome;
        await look(store, memory);
        await store.delete((await keysOf(store, 'locks/')).filter((one) => !one.endsWith('released')));
        return outcome;
      },
    };
    const writing = await open(lost, undefined);
    await expect(backup(writing, b2, [{bytes: noise(500, 2)}])).rejects.toMatchObject({code: 'VAULT_LOCKED'});
    writing.close();
    await listed(vault);
  });
  expect(await look(store, memory)).toEqual([]);
});

test('a backup that is accepted to be gone is missed by nobody', async () => {
  const store = newStore();
  const [one, other] = [machine(), machine()];
  await take(store, one.memory, b1, b2);
  await look(store, other.memory);
  await steal(store, `${b2}/`);
  await using(store, one.memory, async (vault) => {
    await listed(vault);
    for (const gone of vault.gone('')) await vault.acceptGone(gone);
  });
  for (const {memory} of [one, other, machine()]) expect(await look(store, memory)).toEqual([]);
});

test('a backup that ends while the store is listed is not missed', async () => {
  const store = newStore();
  const {memory, told} = machine();
  await take(store, memory, b1);
  let isTaken = false;
  const slow: Store = {
    ...store,
    async *list(prefix, options) {
      for await (const facts of store.list(prefix, options)) {
        yield facts;
        if (isTaken || !facts.key.endsWith(`${b1}/manifest`)) continue;
        isTaken = true;
        await take(store, undefined, b2);
        // This listing goes on with what is there now, after the place where the new backup is.
        const after = facts.key.replace(`${b1}/manifest`, 'a');
        yield* store.list(prefix, {after});
        return;
      }
    },
  };
  expect(await look(slow, memory)).toEqual([]);
  expect([isTaken, told]).toEqual([true, []]);
});

test('a vault without encryption has none of these objects, and an old backup in it is no alarm', async () => {
  const store = newStore();
  const {memory, told} = machine();
  const vault = await openVault({store, create: true, backupMemory: memory});
  await backup(vault, b1, [{bytes: noise(100, 1)}]);
  await backup(vault, b2, [{bytes: noise(100, 2)}]);
  await steal(store, b2);
  await listed(vault);
  vault.close();
  expect([vault.gone(''), told, await notesOf(store)]).toEqual([[], [], []]);
});

test('a document that has the name of a backup is an object of a folder, and no backup that lost its manifest', () => {
  for (const key of [`${folder}newest/${b1}`, `backup/gentle-forest-orchid/newest/20250101T000000.000000Z`]) {
    expect([vaultLayout.isObject(key), vaultLayout.objectsIn(key)]).toEqual([true, undefined]);
  }
  expect(vaultLayout.objectsIn(`${folder}${b1}`)).toEqual([manifestKey(b1)]);
});
