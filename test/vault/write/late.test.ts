import {describe, expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import {sealManifest} from '../../../src/vault/format/manifest.ts';
import type {Vault, VaultOptions} from '../../../src/vault/index.ts';
import {noteRemoval} from '../../../src/vault/indexes/removals.ts';
import {decidePending, pendingKey, withdraw} from '../../../src/vault/lease/verdict.ts';
import {
  backup,
  changed,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  newStore,
  noise,
  open,
  readAll,
} from '../helpers.ts';

// Requests that reach the store long after they were sent, because a process was paused or the network is slow.
// docs/format.md has the argument.

const dayMs = 24 * 60 * 60 * 1000;

const storeNow = async () => 0;

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(10_000, seed)}));

/** Opens the vault as another process, which takes the processes in `dead` for dead. */
function openOn(store: Store, pid: number, dead: readonly number[] = [], options: Partial<VaultOptions> = {}) {
  const host = fakeHost(pid);
  for (const other of dead) host.dead.add(other);
  return open(store, {clock: fakeClock(), host, graceMs: 0, ...options});
}

/** A store whose calls of one kind wait until they are released. */
function holding(store: Store, isHeld: (call: string, key: string) => boolean) {
  let release = () => {};
  const free = new Promise<void>((resolve) => {
    release = resolve;
  });
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const wait = async (call: string, key: string) => {
    if (!isHeld(call, key)) return;
    reach();
    await free;
  };
  const held: Store = {
    ...store,
    put: async (key, body, options) => {
      const bytes = Uint8Array.from(body);
      await wait('put', key);
      return store.put(key, bytes, options);
    },
    delete: async (keys) => {
      await wait('delete', keys[0]!);
      return store.delete(keys);
    },
  };
  return {held, release, reached};
}

async function releasing<Result>(release: () => void, ending: Promise<Result>): Promise<Result> {
  release();
  return ending;
}

async function cleanUp(vault: Vault, ...names: string[]) {
  const collector = await vault.collector({purpose: 'cleanup'});
  try {
    await collector.remove(names.map(manifestKey));
    return await collector.execute(await collector.plan());
  } finally {
    await collector.close();
  }
}

const counted = async (vault: Vault) => {
  const keys: string[] = [];
  for await (const key of vault.keys('.backups/')) keys.push(key);
  return keys;
};

describe('a collector that is paused just before it removes packs', () => {
  async function pause() {
    const store = newStore();
    await backup(await openOn(store, 1), 'old', pieces(1, 2));
    const {held, release, reached} = holding(store, (call, key) => call === 'delete' && key.startsWith('packs/'));
    const ending = cleanUp(await openOn(held, 2), 'old').catch((error: unknown) => error);
    await reached;
    return {store, wake: () => releasing(release, ending)};
  }

  test('removes nothing that a backup of another process needs which took it for dead', async () => {
    const {store, wake} = await pause();
    const vault = await openOn(store, 3, [2]);
    const recipe = await backup(vault, 'new', pieces(1, 2));
    await wake();
    expect(await findings(await openOn(store, 4))).toEqual([]);
    expect(await readAll(await openOn(store, 4), recipe)).toHaveLength(20_000);
  });

  test('removes nothing that a backup needs after another collector has finished its work', async () => {
    const {store, wake} = await pause();
    const vault = await openOn(store, 3, [2]);
    await cleanUp(vault);
    expect(await keysOf(store, 'removals/')).toEqual([]);
    const recipe = await backup(vault, 'new', pieces(1, 2));
    expect(await wake()).toMatchObject({code: 'VAULT_LOCKED'});
    expect(await readAll(await openOn(store, 4), recipe)).toHaveLength(20_000);
    expect(await findings(await openOn(store, 4))).toEqual([]);
  });

  test('leaves nothing behind if no other process interferes', async () => {
    const {store, wake} = await pause();
    expect(await keysOf(store, 'removals/')).toHaveLength(1);
    await wake();
    expect(await keysOf(store)).toEqual(['bkp.json']);
  });
});

test('a collector copies what is needed from packs that an earlier one was about to remove', async () => {
  const store = newStore();
  const recipe = await backup(await openOn(store, 1), 'one', pieces(1, 2, 3));
  const [pack] = await keysOf(store, 'packs/');
  await noteRemoval(store, [pack!.split('/')[2] as never], () => 'f'.repeat(32));
  await cleanUp(await openOn(store, 2));
  expect(await keysOf(store, 'packs/')).not.toContain(pack);
  expect(await keysOf(store, 'removals/')).toEqual([]);
  expect(await readAll(await openOn(store, 3), recipe)).toHaveLength(30_000);
});

test('an unreadable note of a removal fails writers and collectors, but no reader', async () => {
  const store = newStore();
  const recipe = await backup(await openOn(store, 1), 'one', pieces(1));
  const [key] = await noteRemoval(store, ['a'.repeat(64) as never], () => 'f'.repeat(32));
  await store.put(key!, changed(await store.get(key!), 20));
  const vault = await openOn(store, 2);
  const named = {code: 'OBJECT_DAMAGED', message: expect.stringContaining(key!), next: expect.stringContaining(key!)};
  await expect(backup(vault, 'two', pieces(2))).rejects.toMatchObject(named);
  await expect(cleanUp(vault)).rejects.toMatchObject(named);
  expect(await readAll(vault, recipe)).toHaveLength(10_000);
  expect(await findings(vault)).toMatchObject([{what: 'damaged', key}]);
  expect(await keysOf(store, 'locks/')).toEqual([]);
  await store.delete([key!]);
  await backup(vault, 'two', pieces(2));
});

test('no pack and no index has the name of an earlier one', async () => {
  const store = newStore();
  const vault = await openOn(store, 1);
  const names = new Set<string>();
  for (let n = 0; n < 3; n++) {
    await backup(vault, 'same', pieces(1, 2));
    for (const key of [...(await keysOf(store, 'packs/')), ...(await keysOf(store, 'index/'))]) {
      expect(names.has(key)).toBe(false);
      names.add(key);
    }
    await cleanUp(vault, 'same');
  }
  expect(names.size).toBe(6);
});

describe('a manifest that arrives when its lease is over', () => {
  /** Its writer relies on the chunks of an older backup, which is removed meanwhile. */
  async function delay() {
    const store = newStore();
    await backup(await openOn(store, 1), 'old', pieces(1, 2));
    const {held, release, reached} = holding(store, (call, key) => call === 'put' && key === manifestKey('late'));
    const ending = backup(await openOn(held, 2), 'late', pieces(1, 2)).catch((error: unknown) => error);
    await reached;
    const other = await openOn(store, 3, [2]);
    await cleanUp(other, 'old');
    return {store, other, wake: () => releasing(release, ending)};
  }

  test('is not a backup, and its writer reports a failure', async () => {
    const {store, other, wake} = await delay();
    expect(await wake()).toMatchObject({code: 'VAULT_LOCKED'});
    expect(await counted(other)).toEqual([]);
    await cleanUp(other);
    expect((await keysOf(store)).filter((key) => !key.includes('/verdict/'))).toEqual(['bkp.json']);
  });

  test('is not a backup if its writer was killed after sending it, and blocks no cleanup', async () => {
    const {store, other, wake} = await delay();
    // It arrives as it was sent, and no process receives the reply.
    const sealed = await sealedOf(store, wake);
    await store.put(manifestKey('late'), sealed);
    expect(await counted(other)).toEqual([]);
    expect(await counted(await openOn(store, 4))).toEqual([]);
    expect(await counted((await openOn(store, 4)).uncached() as Vault)).toEqual([]);
    const recipe = await backup(other, 'next', pieces(1));
    await cleanUp(other);
    expect(await keysOf(store, '.backups/collections/shop/late/')).toEqual([expect.stringContaining('/verdict/')]);
    // The name can be used again.
    await backup(other, 'late', pieces(3));
    expect(await counted(other)).toEqual([manifestKey('late'), manifestKey('next')]);
    expect(await findings(other)).toEqual([]);
    expect(await readAll(other, recipe)).toHaveLength(10_000);
  });

  /** The bytes of the delayed manifest. */
  async function sealedOf(store: Store, wake: () => Promise<unknown>): Promise<Uint8Array> {
    const put = store.put.bind(store);
    let sealed: Uint8Array | undefined;
    store.put = async (key, body, options) => {
      if (key !== manifestKey('late')) return put(key, body, options);
      sealed = Uint8Array.from(body);
      throw new BkpError('STORE_UNAVAILABLE', 'the process was killed');
    };
    await wake();
    store.put = put;
    return sealed!;
  }
});

test('a backup whose writer was killed after its manifest was written counts, also after cleanups', async () => {
  const store = newStore();
  const {held, reached} = holding(store, (call, key) => call === 'delete' && key.startsWith('locks/'));
  void backup(await openOn(held, 1), 'one', pieces(1));
  await reached;
  const vault = await openOn(store, 2, [1]);
  expect(await counted(vault)).toEqual([manifestKey('one')]);
  await cleanUp(vault);
  expect(await counted(vault)).toEqual([manifestKey('one')]);
  expect(await findings(vault)).toEqual([]);
  // Its verdict is removed together with it, and the note that it was removed a week later.
  await cleanUp(vault, 'one');
  await cleanUp(vault);
  const left = await keysOf(store);
  expect(left).toEqual([expect.stringMatching(/\/one\/verdict\/[0-9a-f]{32}-removed$/), 'bkp.json']);
  const {modifiedAtMs} = (await store.stat(left[0]!))!;
  await decidePending(store, async () => modifiedAtMs + 6 * dayMs);
  expect(await keysOf(store)).toEqual(left);
  await decidePending(store, async () => modifiedAtMs + 8 * dayMs);
  expect(await keysOf(store)).toEqual(['bkp.json']);
});

describe('a manifest whose put was repeated, and whose other copy arrives after the backup was removed', () => {
  /** A backup; the first request of its manifest is not answered, and the second one is. */
  async function repeated() {
    const store = newStore();
    let copy: Uint8Array | undefined;
    const repeating: Store = {
      ...store,
      put: async (key, body, options) => {
        const outcome = await store.put(key, body, options);
        if (key !== manifestKey('one')) return outcome;
        copy = Uint8Array.from(body);
        options?.onRepeated?.();
        return outcome;
      },
    };
    const vault = await openOn(repeating, 1);
    await backup(vault, 'one', pieces(1));
    expect(await counted(vault)).toEqual([manifestKey('one')]);
    return {store, vault: await openOn(store, 2), arrive: () => store.put(manifestKey('one'), copy!, {ifAbsent: true})};
  }

  async function expectGone(vault: Vault, store: Store) {
    expect(await counted(vault)).toEqual([]);
    await cleanUp(vault);
    expect((await keysOf(store)).filter((key) => key.endsWith('/manifest'))).toEqual([]);
    await backup(vault, 'two', pieces(2));
    await cleanUp(vault);
    expect(await findings(vault)).toEqual([]);
  }

  test('never counts again', async () => {
    const {store, vault, arrive} = await repeated();
    await cleanUp(vault, 'one');
    expect(await keysOf(store, 'packs/')).toEqual([]);
    expect(await arrive()).toBe('written');
    await expectGone(vault, store);
  });

  test('nor after other cleanups, before and after its removal', async () => {
    const {store, vault, arrive} = await repeated();
    await cleanUp(vault);
    expect(await counted(vault)).toEqual([manifestKey('one')]);
    await cleanUp(vault, 'one');
    await cleanUp(vault);
    expect(await arrive()).toBe('written');
    await expectGone(vault, store);
  });

  test('nor if its collector was killed after it had removed the manifest', async () => {
    const {store, vault, arrive} = await repeated();
    await cleanUp(vault);
    // All that was done of a removal.
    await store.delete([manifestKey('one')]);
    await cleanUp(vault);
    await cleanUp(vault);
    expect(await keysOf(store, 'packs/')).toEqual([]);
    expect(await arrive()).toBe('written');
    await expectGone(vault, store);
  });
});

test('if two collectors decide differently, the first decision is final', async () => {
  const store = newStore();
  await open(store);
  const lease = 'a'.repeat(32);
  await store.put(pendingKey(manifestKey('one'), lease), new Uint8Array());
  const {held, release, reached} = holding(store, (call, key) => call === 'put' && key.includes('/verdict/'));
  const slow = decidePending(held, storeNow);
  await reached;
  await store.put(manifestKey('one'), await sealManifest({...manifestOf(), lease}));
  await decidePending(store, storeNow);
  release();
  await slow;
  expect(await counted(await openOn(store, 2))).toEqual([manifestKey('one')]);
  // Its writer gets the same decision.
  expect(await withdraw(store, manifestKey('one'), lease)).toBe(true);
});

test('a note says nothing about the manifest of another writer under the same key', async () => {
  const store = newStore();
  await open(store);
  const [first, second] = ['a'.repeat(32), 'b'.repeat(32)];
  await store.put(pendingKey(manifestKey('one'), first), new Uint8Array());
  await store.put(manifestKey('one'), await sealManifest({...manifestOf(), lease: second}));
  await decidePending(store, storeNow);
  expect(await counted(await openOn(store, 2))).toEqual([manifestKey('one')]);
  // When that one is gone, the first one may still arrive, and what it needs may be gone too.
  await store.delete([manifestKey('one')]);
  await store.put(manifestKey('one'), await sealManifest({...manifestOf(), lease: first}));
  expect(await counted(await openOn(store, 2))).toEqual([]);
});

test('a manifest that was decided to be void stays void, however many cleanups run before it arrives', async () => {
  const store = newStore();
  await open(store);
  const lease = 'a'.repeat(32);
  await store.put(pendingKey(manifestKey('one'), lease), new Uint8Array());
  for (let cleanups = 0; cleanups < 3; cleanups++) await decidePending(store, storeNow);
  await store.put(manifestKey('one'), await sealManifest({...manifestOf(), lease}));
  expect(await counted(await openOn(store, 2))).toEqual([]);
});

test('a manifest of an older bkp, which names no lease, counts', async () => {
  const store = newStore();
  const vault = await openOn(store, 1);
  await store.put(manifestKey('old'), await sealManifest(manifestOf()));
  await cleanUp(vault);
  expect(await counted(vault)).toEqual([manifestKey('old')]);
});

test('a writer whose commit failed cannot commit under the same name again', async () => {
  const store = newStore();
  let isDown = true;
  const failing: Store = {
    ...store,
    put: async (key, body, options) => {
      if (isDown && key === manifestKey('one')) throw new BkpError('STORE_UNAVAILABLE', 'no reply');
      return store.put(key, body, options);
    },
  };
  const vault = await openOn(failing, 1);
  const writer = await vault.writer({purpose: 'test'});
  await expect(writer.commit(manifestKey('one'), manifestOf())).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  isDown = false;
  await expect(writer.commit(manifestKey('one'), manifestOf())).rejects.toThrow(/invariant broken/);
  expect(await writer.commit(manifestKey('two'), manifestOf())).toBe('written');
  await writer.close();
  await backup(vault, 'one', pieces(1));
  expect(await counted(vault)).toEqual([manifestKey('one'), manifestKey('two')]);
});

test('a verdict that cannot be read hides no backup', async () => {
  const store = newStore();
  await open(store);
  const lease = 'a'.repeat(32);
  await store.put(pendingKey(manifestKey('one'), lease), new Uint8Array());
  await decidePending(store, storeNow);
  await store.put(manifestKey('one'), await sealManifest({...manifestOf(), lease}));
  expect(await counted(await openOn(store, 2))).toEqual([]);
  const failing: Store = {
    ...store,
    get: async (key, range) => {
      if (key.includes('/verdict/')) throw new BkpError('OBJECT_DAMAGED', `${key} is damaged`);
      return store.get(key, range);
    },
  };
  expect(await counted(await openOn(failing, 2))).toEqual([manifestKey('one')]);
});

test.each(['', 'count', 'voix', 'void\n'])('a verdict %j is damaged, and hides and removes no backup', async (text) => {
  const store = newStore();
  const vault = await open(store);
  const lease = 'a'.repeat(32);
  await backup(vault, 'one', pieces(1));
  const manifest = await sealManifest({...(await vault.manifest(manifestKey('one'))), lease});
  for (const name of ['two', 'late']) {
    const pending = pendingKey(manifestKey(name), lease);
    await store.put(pending, new Uint8Array());
    await store.put(pending.replace('/pending/', '/verdict/'), Buffer.from(text));
  }
  await store.put(manifestKey('two'), manifest);
  await decidePending(store, storeNow);
  expect(await counted(await openOn(store, 2))).toEqual([manifestKey('one'), manifestKey('two')]);
  // What such a verdict was about never comes, if it was not there.
  await store.put(manifestKey('late'), manifest);
  expect(await counted(await openOn(store, 2))).toEqual([manifestKey('one'), manifestKey('two')]);
});

test('nothing is decided about a damaged manifest: it counts when it can be read again', async () => {
  const store = newStore();
  const vault = await open(store);
  const lease = 'a'.repeat(32);
  await backup(vault, 'one', pieces(1));
  const pending = pendingKey(manifestKey('two'), lease);
  const manifest = await sealManifest({...(await vault.manifest(manifestKey('one'))), lease});
  await store.put(pending, new Uint8Array());
  await store.put(manifestKey('two'), changed(manifest, 20));
  await decidePending(store, storeNow);
  expect(await keysOf(store, '.backups/')).toContain(pending);
  await store.put(manifestKey('two'), manifest);
  await decidePending(store, storeNow);
  expect(await keysOf(store, '.backups/')).not.toContain(pending);
  expect(await counted(await openOn(store, 2))).toEqual([manifestKey('one'), manifestKey('two')]);
});
