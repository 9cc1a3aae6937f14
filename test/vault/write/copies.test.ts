import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {sealDocument} from '../../../src/vault/format/manifest.ts';
import {
  backup,
  changed,
  findings,
  keysOf,
  manifestKey,
  newStore,
  noise,
  open,
  readAll,
  serverStore,
  testPlain,
} from '../helpers.ts';

let folder: string;
let cacheFile: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-copies-'));
  cacheFile = join(folder, 'index.db');
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const documentKey = '.backups/collections/shop/definition/00000001';
const prefix = '.backups/collections/shop/';

/** A vault with a definition and a backup, created by another home. */
async function make() {
  const store = serverStore();
  const vault = await open(store);
  const writer = await vault.writer({purpose: 'definition'});
  await writer.putDocument(documentKey, {name: 'shop'});
  await writer.close();
  const recipe = await backup(vault, 'one', [{bytes: noise(5000, 1)}]);
  return {store, recipe};
}

/** A process of one home lists the folder and reads its objects. */
async function look(store: ReturnType<typeof serverStore>, file = cacheFile) {
  const vault = await open(store, {cacheFile: file, create: false});
  store.reads.length = 0;
  const keys: string[] = [];
  for await (const key of vault.keys(prefix)) keys.push(key);
  const found: unknown[] = [];
  for (const key of keys) found.push(await (key.endsWith('/manifest') ? vault.manifest(key) : vault.document(key)));
  vault.close();
  return {found, reads: store.reads.filter((key) => key !== 'bkp.json')};
}

testPlain('an object is not fetched again while the store shows the same version', async () => {
  const {store} = await make();
  const first = await look(store);
  expect(first.reads).toEqual([documentKey, manifestKey('one')]);
  expect(first.found).toMatchObject([{name: 'shop'}, {kind: 'test'}]);
  expect(await look(store)).toEqual({found: first.found, reads: []});
});

testPlain('an object with another version is fetched', async () => {
  const {store} = await make();
  await look(store);
  await store.put(documentKey, await sealDocument({name: 'shoq'}));
  const again = await look(store);
  expect(again.reads).toEqual([documentKey]);
  expect(again.found).toMatchObject([{name: 'shoq'}, {kind: 'test'}]);
});

testPlain('an object that this home wrote is not fetched', async () => {
  const store = serverStore();
  const vault = await open(store, {cacheFile});
  await backup(vault, 'first', [{bytes: noise(5000, 1)}]);
  const writer = await vault.writer({purpose: 'definition'});
  await writer.putDocument(documentKey, {name: 'shop'});
  await writer.close();
  await backup(vault, 'one', [{bytes: noise(5000, 2)}]);
  vault.close();
  expect((await look(store)).reads).toEqual([]);
});

describe('a copy is not used', () => {
  test('without a listing', async () => {
    const {store} = await make();
    await look(store);
    const vault = await open(store, {cacheFile});
    store.reads.length = 0;
    await vault.manifest(manifestKey('one'));
    expect(store.reads).toEqual([manifestKey('one')]);
    vault.close();
  });

  test('of what a later listing does not show', async () => {
    const {store} = await make();
    await look(store);
    const vault = await open(store, {cacheFile});
    for await (const _ of vault.keys(prefix));
    await store.delete([documentKey]);
    for await (const _ of vault.keys(prefix));
    await expect(vault.document(documentKey)).rejects.toMatchObject({code: 'OBJECT_MISSING'});
    vault.close();
  });

  test('by an uncached reader', async () => {
    const {store} = await make();
    await look(store);
    const vault = await open(store, {cacheFile});
    for await (const _ of vault.keys(prefix));
    store.reads.length = 0;
    const strict = vault.uncached();
    await strict.manifest(manifestKey('one'));
    await strict.document(documentKey);
    expect(store.reads).toEqual([manifestKey('one'), documentKey]);
    vault.close();
  });

  test('if the store has no versions', async () => {
    const store = newStore();
    const vault = await open(store, {cacheFile});
    await backup(vault, 'one', [{bytes: noise(5000, 1)}]);
    for await (const _ of vault.keys(prefix));
    await vault.manifest(manifestKey('one'));
    await store.put(manifestKey('one'), Buffer.from('nothing'));
    await expect(vault.manifest(manifestKey('one'))).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    vault.close();
    const db = new DatabaseSync(cacheFile);
    expect(db.prepare('SELECT count(*) AS n FROM objects').get()).toEqual({n: 0});
    db.close();
  });

  test.each([
    ['its bytes are wrong', "UPDATE objects SET bytes = CAST(replace(CAST(hex(bytes) AS TEXT), 'A', 'B') AS BLOB)"],
    ['it is another object’s', 'UPDATE objects SET bytes = (SELECT bytes FROM objects ORDER BY key LIMIT 1)'],
    ['it is no bytes', "UPDATE objects SET bytes = 'text', size = 4"],
    ['the table is not there', 'DROP TABLE objects'],
  ])('when %s', async (_, damage) => {
    const {store} = await make();
    const before = await look(store);
    const db = new DatabaseSync(cacheFile);
    db.exec(damage);
    db.close();
    expect((await look(store)).found).toEqual(before.found);
    // The copies are correct again.
    expect((await look(store)).found).toEqual(before.found);
  });
});

test('a cache file is not used for another vault', async () => {
  const one = await make();
  const two = await make();
  await look(one.store);
  const other = join(folder, 'other.db');
  copyFileSync(cacheFile, other);
  expect((await look(two.store, other)).reads).toEqual([documentKey, manifestKey('one')]);
});

test('the lists of a long recipe are fetched once; a verification reads them again', async () => {
  const store = serverStore();
  function* pieces() {
    for (let n = 0; n < 300; n++) yield {bytes: Buffer.from(`row ${n}\n`)};
  }
  const recipe = await backup(await open(store), 'long', pieces());
  expect(recipe.depth).toBe(1);
  const expected = Buffer.concat([...pieces()].map(({bytes}) => bytes));
  const packReads = async (work: (vault: Awaited<ReturnType<typeof open>>) => Promise<unknown>) => {
    const vault = await open(store, {cacheFile});
    store.reads.length = 0;
    await work(vault);
    vault.close();
    return store.reads.filter((key) => key.startsWith('packs/')).length;
  };
  expect(await packReads((vault) => vault.chunkIds(recipe))).toBe(1);
  expect(await packReads((vault) => vault.chunkIds(recipe))).toBe(0);
  expect(await packReads((vault) => vault.storedBytes([recipe]))).toBe(0);
  expect(await packReads((vault) => readAll(vault, recipe).then((bytes) => expect(bytes).toEqual(expected)))).toBe(1);
  const [pack] = await keysOf(store, 'packs/');
  await store.put(pack!, changed(await store.get(pack!), 3));
  expect(await findings(await open(store, {cacheFile}))).not.toEqual([]);
});
