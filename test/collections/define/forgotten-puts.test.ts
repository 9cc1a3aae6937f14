import {expect, test} from 'vitest';
import {
  alterCollection,
  copyCollection,
  createCollection,
  dropCollection,
  pinBackup,
  unpinBackup,
} from '../../../src/collections/index.ts';
import {isLiving, readAllFolders} from '../../../src/collections/stored/folder.ts';
import {BkpError} from '../../../src/errors/index.ts';
import {openMemoryStore, type Store} from '../../../src/stores/index.ts';
import type {Vault} from '../../../src/vault/index.ts';
import {withEachPutForgotten} from '../../helpers/forgetful-store.ts';
import {inProcess} from '../../helpers/in-process.ts';
import {encryptionForTests, keysOf, open} from '../../vault/helpers.ts';
import {openShop} from '../care/pinned-shop.ts';

// A server may confirm a put and lose what it wrote. A statement that ended with success has taken effect all the same.

/** The only backup; set by each test. */
let point: string | undefined;
const tools = (vault: Vault) => ({vault, nowMicros: () => Date.UTC(2026, 6, 2) * 1000, randomId: () => 'd'.repeat(32)});

const statements: Record<string, (vault: Vault) => Promise<unknown>> = {
  create: (vault) =>
    createCollection(tools(vault), {name: 'd', members: {kind: 'database'}, settings: [], ifNotExists: false}),
  alter: (vault) => alterCollection(tools(vault), 'c', [{kind: 'reset', keys: ['KEEP_LATEST']}]),
  drop: (vault) => dropCollection(tools(vault), {name: 'c', ifExists: false}),
  pin: (vault) => pinBackup(tools(vault), {collection: 'c', point}),
  unpin: (vault) => unpinBackup(tools(vault), {collection: 'c', point}),
};

/** What another process sees: collections with their settings and pins. */
async function stateOf(store: Store): Promise<string> {
  const vault = await open(store, {encryption: encryptionForTests()});
  const folders = await readAllFolders(vault);
  vault.close();
  return JSON.stringify(
    folders.filter(isLiving).map(({name, newest, backups, pins}) => [name, newest?.settings, backups, [...pins]]),
  );
}

/** As it is, also of an encrypted vault. */
async function copyOf(store: Store): Promise<Store> {
  const copy = openMemoryStore();
  for (const key of await keysOf(store)) await copy.put(key, await store.get(key));
  return copy;
}

async function run(store: Store, statement: (vault: Vault) => Promise<unknown>): Promise<void> {
  const vault = await open(store, {encryption: encryptionForTests()});
  try {
    await statement(vault);
  } finally {
    vault.close();
  }
}

for (const [name, statement] of Object.entries(statements)) {
  test(`${name} succeeds only if it has taken effect, whichever of its puts the store loses`, async () => {
    const shop = await openShop();
    const [backup] = await shop.take('full');
    point = backup;
    if (name === 'unpin') await shop.pin(backup!);
    const before = await stateOf(shop.memory);
    const done = await copyOf(shop.memory);
    await run(done, statement);
    const after = await stateOf(done);
    expect(after).not.toBe(before);
    const failed: string[] = [];
    await withEachPutForgotten(
      () => copyOf(shop.memory),
      (store) => run(store, statement),
      async ({inner, key, error}) => {
        if (error === undefined) return expect(withoutTimes(await stateOf(inner)), key).toBe(withoutTimes(after));
        expect(error).toBeInstanceOf(BkpError);
        failed.push(key);
        expect([before, after].map(withoutTimes), key).toContain(withoutTimes(await stateOf(inner)));
      },
    );
    expect(failed.some((key) => key.startsWith('.backups/'))).toBe(true);
  });
}

test('a copy succeeds only if the target has all of it, whichever put the target loses', async () => {
  const shop = await openShop();
  const backups = await shop.take('full', 'incremental');
  const nowMicros = () => shop.clock.ms * 1000;
  const work = {nowMicros, signal: new AbortController().signal, progress: () => {}, notice: () => {}};
  const copyTo = (target: Store) =>
    shop.bench.vault(async (from) => {
      const to = await open(target, {encryption: encryptionForTests()});
      try {
        await copyCollection({...work, from, to}, {collection: 'c', storage: 'cluster', operation: 'test'});
      } finally {
        to.close();
      }
    });
  const failed: string[] = [];
  await withEachPutForgotten(
    async () => openMemoryStore(),
    copyTo,
    async ({inner, key, error}) => {
      if (error !== undefined) {
        expect(error, key).toBeInstanceOf(BkpError);
        failed.push(key);
        await copyTo(inner);
      }
      const target = inProcess({database: shop.database, openStore: async () => inner, nowMicros});
      expect(await target.backups('c'), key).toEqual(backups);
      await target.verify('c');
    },
  );
  expect(failed.filter((key) => key.endsWith('/manifest'))).toHaveLength(2);
});

/** The number of a pin is that of a lease. */
const withoutTimes = (state: string) => state.replaceAll(/"generation":\d+|pins\/[^"]*/g, '');
