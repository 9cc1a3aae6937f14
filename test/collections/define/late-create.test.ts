import {expect, test} from 'vitest';
import {cleanUp, createCollection, listCollections} from '../../../src/collections/index.ts';
import {readFolder} from '../../../src/collections/stored/folder.ts';
import {BkpError} from '../../../src/errors/index.ts';
import {openMemoryStore, type Store, wrapStore} from '../../../src/stores/index.ts';
import {encryptionForTests, keysOf, open} from '../../vault/helpers.ts';

// A CREATE may fail because its put was not answered, and the put may arrive after another CREATE has succeeded.
// docs/format.md, "What arrives late".

const startMs = Date.UTC(2026, 6, 1);
const weekMs = 7 * 24 * 60 * 60 * 1000;

/** @param id first digit of all random numbers: the first definition of a collection is numbered by them */
async function create(store: Store, id: string, keep: string): Promise<unknown> {
  let count = 0;
  const randomId = () => id + String(++count).padStart(31, '0');
  const vault = await open(store, {randomId, encryption: encryptionForTests()});
  try {
    return await createCollection(
      {vault, nowMicros: () => startMs * 1000, randomId},
      {name: 'c', members: {kind: 'database'}, settings: [{key: 'KEEP_LATEST', value: keep}], ifNotExists: false},
    );
  } finally {
    vault.close();
  }
}

/** A store in which the first put of a definition is not answered. `arrive` carries it out. */
function openUnanswered(clock: {ms: number}) {
  const store = openMemoryStore({nowMs: () => clock.ms});
  let late: (() => Promise<unknown>) | undefined;
  const unanswered = wrapStore(store, {
    put: async (key, body, options) => {
      if (!key.includes('/definition/')) return store.put(key, body, options);
      late = () => store.put(key, body, options);
      throw new BkpError('STORE_UNAVAILABLE', 'the store does not answer', {retryable: true});
    },
  });
  return {store, unanswered, arrive: () => late!()};
}

const keepOf = async (store: Store) => {
  const vault = await open(store, {encryption: encryptionForTests()});
  const {newest} = await readFolder(vault, 'c');
  vault.close();
  return newest?.settings.keepLatest;
};

async function collect(store: Store, clock: {ms: number}): Promise<void> {
  const vault = await open(store, {encryption: encryptionForTests()});
  const nowMicros = () => clock.ms * 1000;
  const tools = {vault, nowMicros, signal: new AbortController().signal, progress: () => {}, notice: () => {}};
  await cleanUp(tools, 'test');
  vault.close();
}

test('a CREATE that failed does not replace a later one when its put arrives', async () => {
  const clock = {ms: startMs};
  const {store, unanswered, arrive} = openUnanswered(clock);
  await expect(create(unanswered, 'f', '1')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  await collect(store, clock);
  await create(store, '0', '9');
  await arrive();
  expect(await keepOf(store)).toBe(9);
  await collect(store, clock);
  expect(await keepOf(store)).toBe(9);
});

test('a CREATE that was paused before its put fails if another one has made the collection', async () => {
  const clock = {ms: startMs};
  const store = openMemoryStore({nowMs: () => clock.ms});
  const paused = wrapStore(store, {
    put: async (key, body, options) => {
      if (key.includes('/definition/')) {
        // The other process takes this one for dead.
        for (const lease of await keysOf(store, 'locks/')) await store.delete([lease]);
        await create(store, '0', '9');
      }
      return store.put(key, body, options);
    },
  });
  await expect(create(paused, 'f', '1')).rejects.toMatchObject({code: 'BUSY'});
  expect(await keepOf(store)).toBe(9);
});

test('what announces a definition goes with its CREATE, or a week after one that failed', async () => {
  const clock = {ms: startMs};
  const {store, unanswered} = openUnanswered(clock);
  await expect(create(unanswered, 'f', '1')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  const announced = () => keysOf(store, '.backups/');
  expect(await announced()).toEqual([expect.stringMatching(/\/creating\/\d{8}$/)]);
  const vault = await open(store, {encryption: encryptionForTests()});
  expect(await listCollections(vault)).toEqual([]);
  vault.close();
  await collect(store, clock);
  expect(await announced()).toHaveLength(1);
  clock.ms += weekMs + 1000;
  await collect(store, clock);
  expect(await announced()).toEqual([]);
  await create(store, '0', '9');
  expect(await announced()).toEqual([expect.stringMatching(/\/definition\/\d{8}$/)]);
});
