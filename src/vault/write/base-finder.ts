import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import type {StoredBase} from '../codec/decode.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {BaseReader} from '../read/base-reader.ts';
import type {ChunkId} from '../types.ts';

/** Finds and reads the chunk that a new one may be stored as a difference to. */
export class BaseFinder {
  readonly #index: ChunkIndex;
  readonly #reader: BaseReader;

  constructor(store: Store, index: ChunkIndex) {
    this.#index = index;
    this.#reader = new BaseReader(store, index);
  }

  /**
   * @param like a chunk that probably resembles the new one
   * @returns `like`, or its own base if it is a difference itself, because no chunk is a difference to a difference;
   *   undefined if neither is usable
   * @throws BkpError `STORE_UNAVAILABLE`
   */
  async find(id: ChunkId, like: ChunkId): Promise<StoredBase | undefined> {
    const index = this.#index;
    // A lost chunk that the indexes still name is stored self-contained, because other chunks may use it as their base.
    if (index.namedLocations(id).length > 0) return undefined;
    const found = index.locate(like);
    const location = found?.base === undefined ? found : index.locate(found.base);
    if (location === undefined || location.base !== undefined || location.id === id) return undefined;
    if (!index.mayRelyOn(location.pack)) return undefined;
    try {
      const {id: base, plainBytes, encoding} = location;
      return {id: base, plainBytes, encoding, stored: await this.#reader.stored(location)};
    } catch (error) {
      // A missing pack is no reason to fail a new backup: the chunk is stored without a base.
      if (error instanceof BkpError && error.code !== 'STORE_UNAVAILABLE') return undefined;
      throw error;
    }
  }
}
