import type {DecodeJob} from './decode-threads.ts';
import {DecodeThreads} from './decode-threads.ts';

/** Chunks in memory that is used again after `release`, when there is one. */
export type Borrowed = {chunks: readonly Uint8Array[]; release?: () => void};

/** Shared by all readers of the process: there are no more cores for two. */
const threads = new DecodeThreads();

/**
 * Decodes on threads, into memory that is used again: new memory for each chunk makes V8 collect garbage every 20 MiB, which
 * took as much CPU as decoding did.
 */
export class GroupDecoder {
  readonly #slabBytes: number;
  readonly #free: SharedArrayBuffer[] = [];

  /** @param slabBytes plain bytes of a usual group; a larger one gets memory of its own */
  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
  }

  /** @returns undefined when a chunk is not what was written, or there are no threads */
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
