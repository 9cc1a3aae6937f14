import {expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import type {Recipe} from '../../../src/vault/index.ts';
import {forgetfulStore, withEachPutForgotten} from '../../helpers/forgetful-store.ts';
import {
  backup,
  changed,
  copyOf,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  manifestsOf,
  newStore,
  noise,
  open,
  readAll,
} from '../helpers.ts';
import {expectAllReadable, make as makeSmallPacks, merge} from './small-packs.ts';

// A server may confirm a put and lose what it wrote. What bkp reports as done is in the store all the same.

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(10_000, seed)}));
const manifestOne = manifestKey('one');

const isKnown = (error: unknown) => error === undefined || error instanceof BkpError;

/** A commit that adds to a first backup. */
async function increment(store: Store): Promise<void> {
  const vault = await open(store);
  const writer = await vault.writer({purpose: 'increment'});
  try {
    const {streams} = await vault.manifest(manifestOne);
    const delta = await writer.write(pieces(4, 5));
    await writer.commit(manifestKey('two'), manifestOf(...streams, delta));
  } finally {
    await writer.close();
    vault.close();
  }
}

test('a commit succeeds only if the backup is complete in the store, whichever put is lost', async () => {
  const store = newStore();
  await backup(await open(store), 'one', pieces(1, 2, 3));
  const kept: string[] = [];
  await withEachPutForgotten(
    () => copyOf(store),
    increment,
    async ({inner, key, error}) => {
      expect(isKnown(error), `${key}: ${error}`).toBe(true);
      const vault = await open(inner);
      if (error === undefined) {
        kept.push(key.replace(/\/.*/, ''));
        const {streams} = await vault.manifest(manifestKey('two'));
        expect((await readAll(vault, streams[1]!)).length).toBe(20_000);
      }
      expect(await findings(vault), key).toEqual([]);
    },
  );
  // A lost index is written again, and nothing needs the note before the manifest if all else goes well.
  expect(kept).toEqual(['index', '.backups']);
});

test('an index that the store lost is written again before the commit ends', async () => {
  const inner = newStore();
  const store = forgetfulStore(inner, {at: 0});
  let isLost = false;
  const losing = wrapStore(store, {
    put: async (key, body, options) => {
      if (isLost || !key.startsWith('index/')) return store.put(key, body, options);
      isLost = true;
      return 'written';
    },
  });
  await backup(await open(losing), 'one', pieces(1));
  expect(await keysOf(inner, 'index/')).toHaveLength(1);
});

test('a document that the store lost is not reported as written', async () => {
  const key = '.backups/collections/shop/definition/00000001';
  const store = newStore();
  await open(store);
  const losing = wrapStore(store, {
    put: async (wanted, body, options) => (wanted === key ? 'written' : store.put(wanted, body, options)),
  });
  const writer = await (await open(losing)).writer({purpose: 'definition'});
  await expect(writer.putDocument(key, {name: 'shop'})).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: `the store confirmed that it had written ${key}, but does not have it`,
  });
  await writer.close();
});

/** Removes one of two backups, of which a pack has to be written again. */
async function removeOne(store: Store): Promise<void> {
  const vault = await open(store);
  const collector = await vault.collector({purpose: 'cleanup'});
  try {
    await collector.remove([manifestOne]);
    await collector.execute(await collector.plan());
  } finally {
    await collector.close();
    vault.close();
  }
}

test('a cleanup loses nothing that a backup needs, whichever of its puts is lost', async () => {
  const store = newStore();
  const vault = await open(store);
  await backup(vault, 'one', pieces(1, 2, 3));
  const two: Recipe = await backup(vault, 'two', pieces(3, 4));
  const refused: string[] = [];
  await withEachPutForgotten(
    () => copyOf(store),
    removeOne,
    async ({inner, key, error}) => {
      expect(isKnown(error), `${key}: ${error}`).toBe(true);
      if (error !== undefined) refused.push(key.replace(/\/.*/, ''));
      const again = await open(inner);
      expect((await readAll(again, two)).equals(Buffer.concat(pieces(3, 4).map(({bytes}) => bytes))), key).toBe(true);
      expect(await findings(again), key).toEqual([]);
    },
  );
  // Of the lease there are two objects.
  expect(refused).toEqual(['locks', 'locks', 'packs', 'index', 'removals']);
});

test('a merge of small packs loses nothing, whichever of its puts is lost', async () => {
  const {store, backups} = await makeSmallPacks();
  const refused: string[] = [];
  await withEachPutForgotten(
    () => copyOf(store),
    async (losing) => merge(await open(losing)),
    async ({inner, key, error}) => {
      expect(isKnown(error), `${key}: ${error}`).toBe(true);
      if (error !== undefined) refused.push(key.replace(/\/.*/, ''));
      await expectAllReadable(inner, backups);
      expect(await findings(await open(inner), 'structure'), key).toEqual([]);
    },
  );
  // The ledger of verified bytes is the only one that may be lost.
  expect(refused).toEqual(['locks', 'locks', 'packs', 'index', 'removals']);
});

test('a verification says that damage could not be noted if the store lost the note', async () => {
  const store = newStore();
  const recipe = await backup(await open(store), 'one', pieces(1));
  const [pack] = await keysOf(store, 'packs/');
  await store.put(pack!, changed(await store.get(pack!), 100));
  const losing = wrapStore(store, {
    put: async (key, body, options) => (key.startsWith('damaged/') ? 'written' : store.put(key, body, options)),
  });
  const {findings: found} = await (await open(losing)).verify([recipe], {level: 'data'});
  expect(found.map(({key}) => key)).toContainEqual(expect.stringMatching(/^damaged\//));
});

test('a removal that the store confirmed and did not carry out is not reported as done', async () => {
  const store = newStore();
  await backup(await open(store), 'one', pieces(1));
  const keeping = wrapStore(store, {
    delete: async (keys) => store.delete(keys.filter((key) => key !== manifestOne)),
  });
  await expect(removeOne(keeping)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: `the store confirmed that it had removed ${manifestOne}, but still lists it`,
  });
  expect(await manifestsOf(store)).toEqual([manifestOne]);
  expect(await findings(await open(store))).toEqual([]);
});
