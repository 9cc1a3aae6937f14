import {expect, test} from 'vitest';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import {chunkEncodings} from '../../../src/vault/format/entry.ts';
import {chunkId} from '../../../src/vault/format/hash.ts';
import {CacheFile} from '../../../src/vault/indexes/cache-file.ts';
import {ChunkIndex} from '../../../src/vault/indexes/chunk-index.ts';
import {type PackLimits, PackWriter} from '../../../src/vault/write/pack-writer.ts';
import {newStore, noise} from '../helpers.ts';

const chunkBytes = 1000;

/** A store in which no pack is written until `let` is called. */
function heldStore(): {store: Store; let: () => void} {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const inner = newStore();
  const store = wrapStore(inner, {
    put: async (key, body, options) => {
      await gate;
      return inner.put(key, body, options);
    },
  });
  return {store, let: open};
}

/** A writer, and how many chunks it took of those that were appended one after the other. */
function filled(store: Store, limits: PackLimits, chunks: number) {
  let ids = 0;
  const randomId = () => (ids++).toString(16).padStart(32, '0');
  const index = new ChunkIndex(store, CacheFile.private(), randomId);
  const stored: number[] = [];
  const onStored = (bytes: number, pack?: string) => void (pack !== undefined && stored.push(bytes));
  const writer = new PackWriter({store, index, limits, randomId, onStored});
  const taken = {chunks: 0};
  const appended = (async () => {
    for (let seed = 0; seed < chunks; seed++) {
      const bytes = noise(chunkBytes, seed);
      const chunk = {id: chunkId(bytes), plainBytes: chunkBytes, encoding: chunkEncodings.plain, stored: bytes};
      await writer.append(chunk);
      taken.chunks += 1;
    }
    await writer.flush();
    index.close();
  })();
  return {taken, appended, stored};
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test.each([
  {inMemory: 1, taken: 5},
  {inMemory: 2, taken: 10},
  {inMemory: 3, taken: 15},
])('while packs are written, others are filled: $inMemory in memory', async ({inMemory, taken}) => {
  const {store, let: open} = heldStore();
  const run = filled(store, {inMemory, targetBytes: 4.5 * chunkBytes}, 23);
  for (let turn = 0; turn < 50; turn++) await settled();
  expect(run.taken.chunks).toBe(taken);
  open();
  await run.appended;
  expect(run.taken.chunks).toBe(23);
  expect(run.stored).toHaveLength(5);
});
