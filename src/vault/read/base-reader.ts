import {copiedBytes, free} from '../../lib/memory.ts';
import type {Store} from '../../stores/index.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {PackId} from '../types.ts';

/** Neighbouring chunks usually have neighbouring bases, so one request reads the bases of several chunks. */
const windowBytes = 1024 * 1024;

/** `readers`: calls that wait for the bytes. */
type Window = {pack: PackId; start: number; end: number; bytes: Promise<Uint8Array>; readers: number};

/** Reads the stored forms of chunks that new ones are compared with, and keeps the last part of a pack that it read. */
export class BaseReader {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  #window: Window | undefined;

  constructor(store: Store, index: ChunkIndex) {
    this.#store = store;
    this.#index = index;
  }

  /**
   * The stored bytes at this location, unchecked, in memory of their own. What was read in addition is freed at once:
   * the garbage collector would keep about 30 MiB of it.
   * @throws BkpError as the store does
   */
  async stored({pack, offset, storedBytes}: Location): Promise<Uint8Array> {
    const end = offset + storedBytes;
    let window = this.#window;
    if (window?.pack !== pack || offset < window.start || end > window.end) {
      const last = this.#window;
      window = this.#open(pack, offset, end);
      this.#window = window;
      if (last?.readers === 0) freeOf(last);
    }
    window.readers++;
    try {
      return copiedBytes((await window.bytes).subarray(offset - window.start, end - window.start));
    } finally {
      window.readers--;
      if (window.readers === 0 && window !== this.#window) freeOf(window);
    }
  }

  #open(pack: PackId, start: number, leastEnd: number): Window {
    const packEnd = this.#index.packLength(pack) ?? leastEnd;
    const end = Math.max(leastEnd, Math.min(start + windowBytes, packEnd));
    const bytes = this.#store.get(packKey(pack), {start, end});
    return {pack, start, end, bytes, readers: 0};
  }
}

/** What failed to be read was reported to its readers. */
function freeOf({bytes}: Window): void {
  bytes.then(free, () => {});
}
