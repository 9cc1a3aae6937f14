import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import type {PackId, Recipe, Vault, VaultReader} from '../../../src/vault/index.ts';
import {Ledger} from '../../../src/vault/ledger/ledger.ts';
import {backup, changed, fakeClock, keysOf, newStore, noise, open, serverStore} from '../helpers.ts';

// What a drill reads from the store is verified thereby: that and nothing else.

/** Streams of so many chunks have lists of chunk ids in packs. */
const pieces = (count: number, seed: number) =>
  Array.from({length: count}, (_, at) => ({bytes: noise(40, seed * 100_000 + at)}));

const verifiedMs = async (vault: Vault, recipe: Recipe) => (await vault.survey()).verifiedMs([recipe]);

test('everything that a witnessed reader has read is verified since it was opened, lists included', async () => {
  const [store, clock] = [newStore(), fakeClock()];
  const vault = await open(store, {clock});
  const recipe = await backup(vault, 'one', pieces(200, 1));
  const other = await backup(vault, 'two', pieces(20, 2));
  expect(recipe.depth).toBeGreaterThan(0);
  const {vault: reader, record} = vault.witnessed();
  const beganMs = clock.wallMs();
  clock.advance(60_000);
  for await (const _ of reader.read(recipe));
  expect(await verifiedMs(vault, recipe)).toBeUndefined();
  expect(await record([])).toEqual({});
  expect(await verifiedMs(vault, recipe)).toBe(beganMs);
  expect(await verifiedMs(vault, other)).toBeUndefined();
  vault.close();
});

test('a backup of which one chunk was not read is not verified', async () => {
  const vault = await open(newStore());
  const recipe = await backup(vault, 'one', pieces(200, 1));
  const {vault: reader, record} = vault.witnessed();
  const ids = await reader.chunkIds(recipe);
  for await (const _ of reader.readChunks(ids.slice(0, -1)));
  await record([]);
  expect(await verifiedMs(vault, recipe)).toBeUndefined();
  const rest = vault.witnessed();
  for await (const _ of rest.vault.readChunks(ids.slice(-1)));
  await rest.record([]);
  expect(await verifiedMs(vault, recipe)).toBeDefined();
  vault.close();
});

test('what was not read yet is read before it is recorded, and damage there is not recorded as verified', async () => {
  const store = newStore();
  const vault = await open(store);
  const [one, two] = [await backup(vault, 'one', pieces(200, 1)), await backup(vault, 'two', pieces(200, 2))];
  const partial = vault.witnessed();
  for await (const _ of partial.vault.readChunks(await partial.vault.chunkIds(one))) break;
  expect(await partial.record([one, two])).toEqual({});
  expect(await verifiedMs(vault, one)).toBeDefined();
  expect(await verifiedMs(vault, two)).toBeDefined();
  const before = new Set(await keysOf(store, 'packs/'));
  const three = await backup(vault, 'three', [{bytes: noise(5000, 3)}]);
  const key = (await keysOf(store, 'packs/')).find((one) => !before.has(one))!;
  await store.put(key, changed(await store.get(key), 10));
  expect(await vault.witnessed().record([one, three])).toMatchObject({fault: {code: 'OBJECT_DAMAGED'}});
  expect(await verifiedMs(vault, three)).toBeUndefined();
  vault.close();
});

test('a list of chunks that this machine has a copy of is read from the store', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-witness-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const store = serverStore();
  const vault = await open(store, {cacheFile: join(folder, 'cache.db')});
  const recipe = await backup(vault, 'one', pieces(200, 1));
  const ids = await vault.chunkIds(recipe);
  const packsRead = async (reader: VaultReader) => {
    store.reads.length = 0;
    expect(await reader.chunkIds(recipe)).toEqual(ids);
    return store.reads.filter((key) => key.startsWith('packs/')).length;
  };
  expect(await packsRead(vault.uncached())).toBe(0);
  expect(await packsRead(vault.witnessed().vault)).toBeGreaterThan(0);
  vault.close();
});

test('a store that takes no record is an answer, not an error', async () => {
  const inner = newStore();
  let refuses = false;
  const store: Store = {
    ...inner,
    put: async (...args) => {
      if (refuses) throw new BkpError('STORE_REFUSED', 'this key may only read');
      return inner.put(...args);
    },
  };
  const vault = await open(store);
  const recipe = await backup(vault, 'one', pieces(10, 1));
  const {vault: reader, record} = vault.witnessed();
  for await (const _ of reader.read(recipe));
  refuses = true;
  expect(await record([recipe])).toMatchObject({unrecorded: {code: 'STORE_REFUSED'}});
  expect(await keysOf(store, 'verified/')).toEqual([]);
  vault.close();
});

test('the same part of a pack that is verified every night is one entry of the ledger', () => {
  const pack = 'a'.repeat(64) as PackId;
  const ledger = new Ledger();
  ledger.add({pack, ranges: [10, 20]}, 1);
  ledger.add({pack, ranges: [30, 40]}, 2);
  for (let night = 3; night < 9; night++) ledger.add({pack, ranges: [5, 25]}, night);
  ledger.add({pack, ranges: [10, 20]}, 4);
  expect([...ledger.runs()]).toEqual([
    [2, [{pack, ranges: [30, 40]}]],
    [8, [{pack, ranges: [5, 25]}]],
  ]);
  const at = (offset: number) => ledger.verifiedMs(pack, () => [{offset, storedBytes: 5}]);
  expect([at(10), at(30), at(40)]).toEqual([8, 2, undefined]);
});
