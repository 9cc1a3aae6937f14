import {availableParallelism} from 'node:os';
import {isAlone} from '../../lib/memory.ts';
import {ThreadPool} from '../../lib/thread-pool.ts';
import type {Decodable, StoredBase} from './decode.ts';

/** Chunks that one read of the store returned, to be decoded together. */
export type DecodeJob = {
  stored: Uint8Array;
  /** `at`: byte of `stored` at which the chunk begins. */
  chunks: readonly (Decodable & {at: number; storedBytes: number; base?: StoredBase | undefined})[];
  /** Receives the plain bytes of all chunks, one after the other. Absent: they are only checked. */
  into?: SharedArrayBuffer | undefined;
};

/** More threads than this outrun a disk, and each needs about 15 MiB of memory. */
const mostThreads = 4;
/** Then threads without work end, because what follows may need their memory: after a restore's data, its check. */
export const idleMs = 200;

/**
 * Decodes and hashes on threads of its own, started by the first job. Node's thread pool takes one chunk a
 * call, and a call costs about as much as decoding 128 KiB; one message here covers several MiB.
 */
export class DecodeThreads {
  #pool: ThreadPool<DecodeJob, boolean> | undefined;
  #running = 0;
  #idle: NodeJS.Timeout | undefined;

  /**
   * @returns false when a chunk is not what was written, or when the thread ended: decode again on this thread, which
   *   succeeds or throws what is wrong
   */
  async decode(job: DecodeJob): Promise<boolean> {
    clearTimeout(this.#idle);
    this.#pool ??= new ThreadPool('decode-thread', import.meta.url, {
      threads: Math.min(mostThreads, availableParallelism()),
    });
    this.#running += 1;
    // Moved instead of copied where possible: bytes that a store returned belong to the caller.
    const stored = [job.stored, ...job.chunks.flatMap(({base}) => base?.stored ?? [])];
    const moved = new Set(stored.filter(isAlone).map(({buffer}) => buffer as ArrayBuffer));
    try {
      return await this.#pool.run(job, [...moved]).catch(() => false);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#idle = setTimeout(() => this.#end(), idleMs).unref();
    }
  }

  /** Ends the threads if they have nothing to do. The next job starts others. */
  end(): void {
    if (this.#running === 0) this.#end();
  }

  #end(): void {
    clearTimeout(this.#idle);
    void this.#pool?.end();
    this.#pool = undefined;
  }
}
