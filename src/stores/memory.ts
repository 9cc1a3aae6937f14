import {BkpError} from '../errors/index.ts';
import {assertKey, assertPrefix} from './key.ts';
import {objectMissing, rangeWithin} from './object-errors.ts';
import type {ByteRange, Key, ObjectFacts, Store} from './store.ts';

type StoredObject = {bytes: Uint8Array; modifiedAtMs: number};

export type MemoryStoreOptions = {
  /** The store's clock, milliseconds since 1970. Default: the number of objects written so far. */
  nowMs?: () => number;
  /** A put beyond this throws `STORE_FULL`. Default: no limit. */
  capacityBytes?: number;
};

/** A store in the memory of this process, for tests. */
export function openMemoryStore(options: MemoryStoreOptions = {}): Store & {readonly objects: Map<Key, StoredObject>} {
  const objects = new Map<Key, StoredObject>();
  let writes = 0;
  const nowMs = options.nowMs ?? (() => writes);
  const find = (key: Key) => {
    assertKey(key);
    const object = objects.get(key);
    if (object === undefined) throw objectMissing(key, 'memory');
    return object;
  };
  const usedBytes = () => [...objects.values()].reduce((sum, {bytes}) => sum + bytes.length, 0);

  return {
    description: 'memory',
    properties: {versions: false, flatListing: false, objectLock: false},
    objects,

    async put(key, body, {ifAbsent = false} = {}) {
      assertKey(key);
      if (ifAbsent && objects.has(key)) return 'exists';
      if (usedBytes() + body.length > (options.capacityBytes ?? Number.POSITIVE_INFINITY)) {
        throw new BkpError('STORE_FULL', 'the memory store is full', {context: {key}});
      }
      writes += 1;
      objects.set(key, {bytes: Uint8Array.from(body), modifiedAtMs: nowMs()});
      return 'written';
    },

    async get(key: Key, range?: ByteRange) {
      const {bytes} = find(key);
      const {start, end} = rangeWithin(key, bytes.length, range);
      // A copy, as from a disk: the caller's changes to it must not reach the store.
      return Uint8Array.from(bytes.subarray(start, end));
    },

    async *list(prefix, {after = ''} = {}): AsyncIterable<ObjectFacts> {
      assertPrefix(prefix);
      const matches = (key: Key) => key.startsWith(prefix) && key > after;
      for (const key of [...objects.keys()].filter(matches).sort()) {
        const object = objects.get(key);
        if (object !== undefined) yield {key, sizeBytes: object.bytes.length, modifiedAtMs: object.modifiedAtMs};
      }
    },

    async delete(keys) {
      for (const key of keys) assertKey(key);
      for (const key of keys) objects.delete(key);
      return [];
    },

    async stat(key) {
      assertKey(key);
      const object = objects.get(key);
      return object && {key, sizeBytes: object.bytes.length, modifiedAtMs: object.modifiedAtMs};
    },
  };
}
