import type {Clock} from '../../lib/clock.ts';
import {type Key, type PutOptions, type Store, wrapStore} from '../../stores/index.ts';
import type {CacheFile} from '../indexes/cache-file.ts';

/**
 * Objects whose lock was set or extended within this time are not extended again. A lock never gets shorter, so this
 * costs at most this much of its length; nothing on S3, where a lock is set for 1.5 times the requested time, and
 * requested for whole days.
 */
const sureForMs = 12 * 60 * 60 * 1000;

/**
 * Keeps the objects that a new backup shares with older ones locked for as long as its new objects. The cache file
 * records what was put or extended within the last hours; without it, every backup would ask about every pack that it
 * needs.
 */
export class ObjectLock {
  /** The store, with every put of a locked object recorded. */
  readonly store: Store;
  readonly #file: CacheFile;
  readonly #clock: Clock;

  constructor(store: Store, file: CacheFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.store = store.retain === undefined ? store : this.#recording(store);
  }

  /** @returns whether it sent a request to the store */
  async extend(keys: readonly Key[]): Promise<boolean> {
    const wallMs = this.#clock.wallMs();
    if (this.store.retain === undefined) return false;
    this.#file.change(() => {
      // Also times in the future: if the clock was set back, they do not say how long ago that was.
      this.#file.run('DELETE FROM retained WHERE since_ms <= ? OR since_ms > ?', wallMs - sureForMs, wallMs);
    });
    const unsure = keys.filter((key) => !this.#isSure(key));
    if (unsure.length === 0) return false;
    await this.store.retain(unsure);
    this.#record(unsure, wallMs);
    return true;
  }

  #isSure(key: Key): boolean {
    return this.#file.all('SELECT 1 FROM retained WHERE key = ?', [key], () => true).length > 0;
  }

  #record(keys: readonly Key[], sinceMs: number): void {
    this.#file.change(() => {
      for (const key of keys) this.#file.run('INSERT OR REPLACE INTO retained VALUES (?, ?)', key, sinceMs);
    });
  }

  #recording(store: Store): Store {
    return wrapStore(store, {
      put: async (key: Key, body: Uint8Array, options?: PutOptions) => {
        const startedAtWallMs = this.#clock.wallMs();
        const outcome = await store.put(key, body, options);
        // An object that existed before may have been locked long ago.
        if (outcome === 'written' && options?.retained) this.#record([key], startedAtWallMs);
        return outcome;
      },
    });
  }
}
