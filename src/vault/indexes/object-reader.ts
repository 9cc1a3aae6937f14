import type {Key, Store} from '../../stores/index.ts';
import {parseDocument, parseManifest} from '../format/manifest.ts';
import type {JsonValue, Manifest} from '../types.ts';
import type {KeptObjects} from './kept-objects.ts';
import type {Versions} from './versions.ts';

/**
 * Reads manifests and documents: from the copy when the store just now showed the very version that was copied, else from the
 * store.
 */
export class ObjectReader {
  readonly #store: Store;
  readonly #kept: KeptObjects;
  readonly #versions: Versions;

  constructor(store: Store, kept: KeptObjects, versions: Versions) {
    this.#store = store;
    this.#kept = kept;
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
    const kept = seen === undefined ? undefined : this.#kept.object(key, seen);
    if (kept !== undefined) {
      try {
        return await parse(kept, key);
      } catch {
        // What is wrong is then told of what the store has.
      }
    }
    const sealed = await this.#store.get(key);
    const result = await parse(sealed, key);
    if (seen?.sizeBytes === sealed.length) this.#kept.keepObject(key, sealed, seen.version);
    return result;
  }
}
