import {expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import {sealedStore} from '../../../src/vault/crypto/sealed-store.ts';
import {readIndex, writeIndex} from '../../../src/vault/format/index-object.ts';
import {indexKey, indexOfKey} from '../../../src/vault/format/key.ts';
import {type ChunkId, openVault, type Recipe, type Vault} from '../../../src/vault/index.ts';
import {
  backup,
  changed,
  encryptedWith,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestsOf,
  newStore,
  noise,
  readAll,
  testKey,
} from '../helpers.ts';

// Objects that are authentic, in another role or at another time than their own.

const encryption = encryptedWith(testKey);
const open = (store: Store) => openVault({store, create: true, encryption});
const names = [1, 2, 3, 4].map((day) => `2025010${day}000000Z_full`) as [string, string, string, string];

/** Two bases and a difference to each one, in four packs. */
async function twoDifferences() {
  const store = newStore();
  const vault = await open(store);
  const bases = [noise(100_000, 1), noise(100_000, 2)] as const;
  const plains = [bases[0], bases[1], changed(bases[0], 50), changed(bases[1], 60)];
  const recipes: Recipe[] = [];
  for (const [at, bytes] of plains.entries()) {
    const like = recipes[at - 2]?.chunks[0];
    recipes.push(await backup(vault, names[at]!, [{bytes, ...(like === undefined ? {} : {like})}]));
  }
  vault.close();
  const opened = sealedStore(store, await encryption.unlock(store, vault.id));
  return {store, opened, recipes, plains, bases: recipes.slice(0, 2).map(({chunks}) => chunks[0]!)};
}

/** Whatever is exchanged: nothing is read as other bytes than those that were written, and VERIFY finds it. */
async function expectFound(store: Store, recipes: readonly Recipe[], plains: readonly Uint8Array[]) {
  const vault = await open(store);
  const read = async (vault: Vault, recipe: Recipe) =>
    readAll(vault, recipe).catch((error: {code: string}) => {
      expect(error.code).toBe('OBJECT_DAMAGED');
      return undefined;
    });
  let refused = 0;
  for (const [at, recipe] of recipes.entries()) {
    const bytes = await read(vault, recipe);
    if (bytes === undefined) refused += 1;
    else expect(bytes.equals(plains[at]!)).toBe(true);
  }
  expect((await findings(vault)).length).toBeGreaterThan(0);
  vault.close();
  return refused;
}

async function packOf(opened: Store, chunk: ChunkId): Promise<string> {
  for (const key of await keysOf(opened, 'index/')) {
    const packs = await readIndex(opened, indexOfKey(key)!);
    const found = packs.find(({entries}) => entries.some(({id}) => id === chunk));
    if (found !== undefined) return `packs/${found.id.slice(0, 2)}/${found.id}`;
  }
  throw new Error('no index names it');
}

test('the packs of two bases that were exchanged make no difference come back wrong', async () => {
  const {store, opened, recipes, plains, bases} = await twoDifferences();
  const [one, other] = [await packOf(opened, bases[0]!), await packOf(opened, bases[1]!)];
  const [first, second] = [await store.get(one), await store.get(other)];
  expect(one).not.toBe(other);
  await store.put(one, second);
  await store.put(other, first);
  expect(await expectFound(store, recipes, plains)).toBe(4);
});

test('an index that names another base is found, even if it was sealed with the keys of the vault', async () => {
  const {store, opened, recipes, plains, bases} = await twoDifferences();
  let rewritten = 0;
  for (const key of await keysOf(opened, 'index/')) {
    const packs = (await readIndex(opened, indexOfKey(key)!)).map((pack) => ({
      ...pack,
      entries: pack.entries.map((entry) => {
        if (entry.base === undefined) return entry;
        rewritten += 1;
        return {...entry, base: bases.find((base) => base !== entry.base)!};
      }),
    }));
    const {id} = await writeIndex(opened, packs, `${rewritten}`.padStart(32, 'f'));
    expect(indexKey(id)).not.toBe(key);
    await opened.delete([key]);
  }
  expect(rewritten).toBe(2);
  await expectFound(store, recipes, plains);
});

test('an index that names the place of one base for the other is found', async () => {
  const {store, opened, recipes, plains, bases} = await twoDifferences();
  for (const key of await keysOf(opened, 'index/')) {
    const packs = (await readIndex(opened, indexOfKey(key)!)).map((pack) => ({
      ...pack,
      entries: pack.entries.map((entry) =>
        bases.includes(entry.id) ? {...entry, id: bases.find((base) => base !== entry.id)!} : entry,
      ),
    }));
    await writeIndex(opened, packs, '0'.repeat(32));
    await opened.delete([key]);
  }
  await expectFound(store, recipes, plains);
});

test('an index whose bytes were exchanged for those of another one is not believed', async () => {
  const {store, recipes, plains} = await twoDifferences();
  const keys = await keysOf(store, 'index/');
  const bytes = await Promise.all(keys.map((key) => store.get(key)));
  for (const [at, key] of keys.entries()) await store.put(key, bytes[(at + 1) % keys.length]!);
  // The tables of the packs say where everything is.
  expect(await expectFound(store, recipes, plains)).toBe(0);
});

/** Records every object below `locks/` that is ever put. */
function recordingLeases() {
  const inner = newStore();
  const put = new Map<string, Uint8Array>();
  const store: Store = {
    ...inner,
    put: (key, body, options) => {
      if (key.startsWith('locks/')) put.set(key, Uint8Array.from(body));
      return inner.put(key, body, options);
    },
  };
  return {store, inner, put};
}

const subject = {purpose: 'test', subject: 'collection shop'};

test('the renewals of an ended lease that are put back hold nobody up for longer than a lease lasts', async () => {
  const {store, inner, put} = recordingLeases();
  const clock = fakeClock();
  const options = {store, encryption, clock, create: true, lockWaitMs: 600_000, host: fakeHost(7, null)};
  const vault = await openVault(options);
  const first = await vault.writer(subject);
  await first.close();
  expect(await keysOf(inner, 'locks/')).toEqual([]);
  for (const [key, body] of put) await inner.put(key, body);
  const since = clock.monotonicMs();
  // The last renewal once more, as a later one: it does not open there.
  const newest = [...put.keys()]
    .filter((key) => /\d{8}$/.test(key))
    .sort()
    .at(-1)!;
  await inner.put(newest.replace(/\d{8}$/, '00000099'), put.get(newest)!);
  const second = await vault.writer(subject);
  expect(clock.monotonicMs() - since).toBeGreaterThanOrEqual(120_000);
  expect(clock.monotonicMs() - since).toBeLessThan(300_000);
  await second.close();
  await backup(vault, names[0], [{bytes: noise(1000, 1)}]);
  expect(await findings(vault)).toEqual([]);
  vault.close();
});

test.each(['an older renewal in the place of the newest', 'only the first renewal', 'an object `released`'])(
  'a holder commits nothing when its lease has become %s',
  async (what) => {
    const {store, inner, put} = recordingLeases();
    const clock = fakeClock();
    const vault = await openVault({store, encryption, clock, create: true});
    const writer = await vault.writer(subject);
    const recipe = await writer.write([{bytes: noise(1000, 1)}]);
    await writer.flush();
    const rows = (await keysOf(inner, 'locks/')).sort();
    const [oldest, newest] = [rows[0]!, rows.at(-1)!];
    if (what.includes('released')) await inner.put(newest.replace(/\d{8}$/, 'released'), put.get(oldest)!);
    else {
      await inner.delete(rows);
      await inner.put(what.startsWith('only') ? oldest : newest, put.get(oldest)!);
      // Until then the holder trusts the renewal that it has just made; the next one shows what is there.
      clock.advance(25_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const key = `.backups/collections/shop/${names[0]}/manifest`;
    // In each case something of its own row is missing, or says that it is over.
    await expect(writer.commit(key, {kind: 'test', streams: [recipe], body: {}})).rejects.toMatchObject({
      code: 'VAULT_LOCKED',
    });
    expect(await manifestsOf(inner)).toEqual([]);
    await writer.close();
    vault.close();
  },
);
