import type {Key, Store} from '../../stores/index.ts';
import {parseDocument, parseManifest} from '../format/manifest.ts';
import type {JsonValue, Manifest} from '../types.ts';
import type {ObjectCache} from './object-cache.ts';
import type {Versions} from './versions.ts';

/**
 * Reads manifests and documents: from the cache if a recent listing showed the cached version, else from the
 * store.
 */
export class ObjectReader {
  readonly #store: Store;
  readonly #cached: ObjectCache;
  readonly #versions: Versions;

  constructor(store: Store, cached: ObjectCache, versions: Versions) {
    this.#store = store;
    this.#cached = cached;
    this.#versions = versions;
  }

  /** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
  manifest(key: Key): Promise<Manifest> {
    return this.#read(key, parseManifest);
  }

  /** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
  document(key: Key): Promise<JsonValue> {
    return this.#read(key, parseDocument);
  }

  async #read<Result>(key: Key, parse: (sealed: Uint8Array, key: Key) => Promise<Result>): Promise<Result> {
    const seen = this.#versions.fresh(key);
    const cached = seen === undefined ? undefined : this.#cached.object(key, seen);
    if (cached !== undefined) {
      try {
        return await parse(cached, key);
      } catch {
        // Read from the store instead; an error is then about the stored object.
      }
    }
    const sealed = await this.#store.get(key);
    const result = await parse(sealed, key);
    if (seen !== undefined) this.#cached.saveObject(key, sealed, seen);
    return result;
  }
}
