import {type DecodeJob, DecodeThreads} from './decode-threads.ts';

/** Chunks in memory that is reused after `release`; absent if the memory belongs to the caller. */
export type Borrowed = {chunks: readonly Uint8Array[]; release?: () => void};

/** Shared by all readers of the process: a second pool would have no more cores. */
const threads = new DecodeThreads();

/**
 * Ends the threads that decode, unless they are at work: for callers that have read all they need and start threads of
 * their own. Without this they end after a while.
 */
export const endDecoding = (): void => threads.end();

/**
 * Decodes groups of chunks on threads, into memory that is reused. New memory for each chunk made V8 collect
 * garbage every 20 MiB, which took as much CPU as decoding.
 */
export class GroupDecoder {
  readonly #slabBytes: number;
  readonly #free: SharedArrayBuffer[] = [];

  /**
   * @param slabBytes plain bytes of a large group; what a group does not need of them is never touched, and takes no
   *   memory. A still larger one, of a single chunk, gets memory that is not reused
   */
  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
  }

  /** Decodes for nothing but the check. @returns false as `DecodeThreads.decode` does */
  check(job: Omit<DecodeJob, 'into'>): Promise<boolean> {
    return threads.decode(job);
  }

  /** @returns undefined when a chunk is not what was written, or no thread could decode it */
  async decode(job: Omit<DecodeJob, 'into'>): Promise<Borrowed | undefined> {
    const sizeBytes = job.chunks.reduce((sum, {plainBytes}) => sum + plainBytes, 0);
    const isUsual = sizeBytes <= this.#slabBytes;
    const slab =
      (isUsual ? this.#free.pop() : undefined) ?? new SharedArrayBuffer(Math.max(sizeBytes, this.#slabBytes));
    const release = () => {
      if (isUsual) this.#free.push(slab);
    };
    if (!(await threads.decode({...job, into: slab}))) {
      release();
      return undefined;
    }
    let end = 0;
    const chunks = job.chunks.map(({plainBytes}) => {
      end += plainBytes;
      return Buffer.from(slab, end - plainBytes, plainBytes);
    });
    return {chunks, release};
  }
}
