import type {Store} from '../../stores/index.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {PackId} from '../types.ts';

/** Neighbouring chunks usually have neighbouring bases, so one request reads the bases of several chunks. */
const windowBytes = 1024 * 1024;

type Window = {pack: PackId; start: number; end: number; bytes: Promise<Uint8Array>};

/** Reads the stored forms of chunks that new ones are compared with, and keeps the last part of a pack that it read. */
export class BaseReader {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  #window: Window | undefined;

  constructor(store: Store, index: ChunkIndex) {
    this.#store = store;
    this.#index = index;
  }

  /** The stored bytes at this location, unchecked. @throws BkpError as the store does */
  async stored({pack, offset, storedBytes}: Location): Promise<Uint8Array> {
    const end = offset + storedBytes;
    let window = this.#window;
    if (window?.pack !== pack || offset < window.start || end > window.end) {
      window = this.#open(pack, offset, end);
      this.#window = window;
    }
    return (await window.bytes).subarray(offset - window.start, end - window.start);
  }

  #open(pack: PackId, start: number, leastEnd: number): Window {
    const packEnd = this.#index.packLength(pack) ?? leastEnd;
    const end = Math.max(leastEnd, Math.min(start + windowBytes, packEnd));
    const bytes = this.#store.get(packKey(pack), {start, end});
    return {pack, start, end, bytes};
  }
}
