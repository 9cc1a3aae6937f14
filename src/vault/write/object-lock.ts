import type {Clock} from '../../lib/clock.ts';
import type {Key, PutOptions, Store} from '../../stores/index.ts';
import type {CacheFile} from '../indexes/cache-file.ts';

/**
 * So long after its retention was seen to an object is not asked about again. Retention never gets shorter, so this costs at most
 * as much of it; nothing on S3, where a lock is set for half as long again as asked for, and for whole days.
 */
const sureForMs = 12 * 60 * 60 * 1000;

/**
 * Sees to it that what a new backup shares with older ones stays as long as what is new of it. Remembers in the cache file what was
 * put or extended within the last hours; without it, every backup would ask about every pack that it needs.
 */
export class Retention {
  /** The store, with every put of a retained object remembered. */
  readonly store: Store;
  readonly #file: CacheFile;
  readonly #clock: Clock;

  constructor(store: Store, file: CacheFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.store = store.retain === undefined ? store : this.#watched(store);
  }

  /** @returns false when nothing had to be asked of the store */
  async extend(keys: readonly Key[]): Promise<boolean> {
    const wallMs = this.#clock.wallMs();
    if (this.store.retain === undefined) return false;
    this.#file.change(() => {
      // Also what is later than now: a clock that was put back says nothing of how long ago that was.
      this.#file.run('DELETE FROM retained WHERE since_ms <= ? OR since_ms > ?', wallMs - sureForMs, wallMs);
    });
    const unsure = keys.filter((key) => !this.#isSure(key));
    if (unsure.length === 0) return false;
    await this.store.retain(unsure);
    this.#note(unsure, wallMs);
    return true;
  }

  #isSure(key: Key): boolean {
    return this.#file.all('SELECT 1 FROM retained WHERE key = ?', [key], () => true).length > 0;
  }

  #note(keys: readonly Key[], sinceMs: number): void {
    this.#file.change(() => {
      for (const key of keys) this.#file.run('INSERT OR REPLACE INTO retained VALUES (?, ?)', key, sinceMs);
    });
  }

  #watched(store: Store): Store {
    const {traffic} = store;
    return {
      description: store.description,
      put: async (key: Key, body: Uint8Array, options?: PutOptions) => {
        const startedAtWallMs = this.#clock.wallMs();
        const outcome = await store.put(key, body, options);
        // One that was there already may have been for long.
        if (outcome === 'written' && options?.retained) this.#note([key], startedAtWallMs);
        return outcome;
      },
      get: (key, range) => store.get(key, range),
      list: (prefix) => store.list(prefix),
      delete: (keys) => store.delete(keys),
      stat: (key) => store.stat(key),
      retain: (keys) => store.retain!(keys),
      ...(traffic === undefined ? {} : {traffic: () => traffic.call(store)}),
    };
  }
}
