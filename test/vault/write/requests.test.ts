import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import type {Recipe, Vault} from '../../../src/vault/index.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';
import {
  backup,
  changed,
  manifestKey,
  manifestOf,
  newStore,
  noise,
  open,
  readAll,
  serverStore,
  testPlain,
} from '../helpers.ts';

// On a server each call is a request, which costs money and time. These tests list the calls of common operations.

let folder: string;
let cacheFile: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-requests-'));
  cacheFile = join(folder, 'index.db');
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const prefix = '.backups/collections/shop/';
const definitionKey = `${prefix}definition/00000001`;

/** Calls without the ids in them. */
const plain = (calls: readonly string[]) =>
  calls.map((call) =>
    call
      .replaceAll(/packs\/[0-9a-f/]+/g, 'packs/…')
      .replaceAll(/[0-9a-f]{64}/g, '…')
      .replaceAll(/[0-9a-f]{32}/g, '…'),
  );

/** The calls that one process of the home makes. */
async function calls(store: Store, work: (vault: Vault) => Promise<unknown>): Promise<string[]> {
  const counting = faultyStore(store, {at: 0, fault: 'fail'});
  const vault = await open(counting, {create: false, cacheFile});
  await work(vault);
  vault.close();
  return plain(counting.calls);
}

/** A collection that this home created, with a backup that has a long recipe. */
async function make(): Promise<{store: Store; parent: Recipe}> {
  const store = serverStore(newStore());
  const vault = await open(store, {cacheFile});
  const writer = await vault.writer({purpose: 'set up'});
  await writer.putDocument(definitionKey, {name: 'shop'});
  const parent = await writer.write(Array.from({length: 300}, (_, n) => ({bytes: Buffer.from(`row ${n}`)})));
  await writer.commit(manifestKey('parent'), manifestOf(parent));
  await writer.close();
  vault.close();
  return {store, parent};
}

async function readFolder(vault: Vault): Promise<void> {
  const keys: string[] = [];
  for await (const key of vault.keys(prefix)) keys.push(key);
  expect(keys).toEqual([definitionKey, manifestKey('parent')]);
  expect(await vault.document(definitionKey)).toEqual({name: 'shop'});
  expect(await vault.manifest(manifestKey('parent'))).toMatchObject({kind: 'test'});
}

async function increment(vault: Vault, parent: Recipe): Promise<void> {
  const writer = await vault.writer({purpose: 'operation incbackup/1', subject: 'collection shop'});
  for await (const _ of vault.keys(prefix));
  expect(await vault.document(definitionKey)).toEqual({name: 'shop'});
  expect((await vault.manifest(manifestKey('parent'))).streams).toEqual([parent]);
  const delta = await writer.write([{bytes: noise(5000, 1)}]);
  expect(await writer.commit(manifestKey('next'), manifestOf(parent, delta))).toBe('written');
  await writer.close();
}

testPlain('a statement that reads a collection makes two requests', async () => {
  const {store} = await make();
  expect(await calls(store, readFolder)).toEqual(['get bkp.json', `list ${prefix}`]);
});

testPlain('an increment makes thirteen requests', async () => {
  const {store, parent} = await make();
  expect(await calls(store, (vault) => increment(vault, parent))).toEqual([
    'get bkp.json',
    'put locks/…/00000000',
    'list ',
    'put locks/…/00000001',
    `list ${prefix}`,
    'put packs/…',
    'put index/…',
    `put ${prefix}next/pending/…`,
    'list ',
    `put ${manifestKey('next')}`,
    'list locks/…/',
    `get ${manifestKey('next')}`,
    `delete locks/…/00000000 locks/…/00000001 ${prefix}next/pending/…`,
  ]);
});

testPlain('a second increment right after the first fetches nothing that the first wrote', async () => {
  const {store, parent} = await make();
  await calls(store, (vault) => increment(vault, parent));
  const next = async (vault: Vault) => {
    const writer = await vault.writer({purpose: 'operation incbackup/2', subject: 'collection shop'});
    for await (const _ of vault.keys(prefix));
    const {streams} = await vault.manifest(manifestKey('next'));
    const delta = await writer.write([{bytes: noise(5000, 2)}]);
    await writer.commit(manifestKey('after'), manifestOf(...streams, delta));
    await writer.close();
  };
  expect(await calls(store, next)).toHaveLength(13);
});

test('a change of a definition makes eight requests', async () => {
  const {store} = await make();
  const change = async (vault: Vault) => {
    const writer = await vault.writer({purpose: 'a change', subject: 'collection shop'});
    await writer.putDocument(`${prefix}definition/00000002`, {name: 'shop'});
    await writer.close();
  };
  expect(await calls(store, change)).toEqual([
    'get bkp.json',
    'put locks/…/00000000',
    'list ',
    'put locks/…/00000001',
    'list locks/…/',
    `put ${prefix}definition/00000002`,
    `get ${prefix}definition/00000002`,
    'delete locks/…/00000000 locks/…/00000001',
  ]);
});

test('a restore reads the header, the indexes and the packs', async () => {
  const {store, parent} = await make();
  rmSync(cacheFile);
  const restore = async (vault: Vault) => expect(await readAll(vault, parent)).toHaveLength(parent.sizeBytes);
  // One request for the list of chunks, and one for the chunks, which are adjacent.
  expect(await calls(store, restore)).toEqual([
    'get bkp.json',
    'list index/',
    'get index/…',
    'get packs/…',
    'get packs/…',
  ]);
});

test('one request reads the adjacent bases of several differences', async () => {
  const store = serverStore(newStore());
  const vault = await open(store, {cacheFile});
  const first = Array.from({length: 20}, (_, seed) => noise(20_000, seed));
  const parent = await backup(
    vault,
    'parent',
    first.map((bytes) => ({bytes})),
  );
  const made = await calls(store, async (again) => {
    await backup(
      again,
      'next',
      first.map((bytes, at) => ({bytes: changed(bytes, at), like: parent.chunks[at]!})),
    );
  });
  expect(made.filter((call) => call === 'get packs/…')).toHaveLength(1);
  vault.close();
});
