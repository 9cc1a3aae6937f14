import {availableParallelism} from 'node:os';
import type {Decodable} from './codec.ts';
import {startThread} from './start-thread.ts';

/** Chunks of one read of the store, to be decoded together. */
export type DecodeJob = {
  stored: Uint8Array;
  /** `at`: where in `stored` the chunk begins. */
  chunks: readonly (Decodable & {at: number; storedBytes: number; base?: Uint8Array})[];
  /** Where the plain bytes go, one after the other; it has room for all. */
  into: SharedArrayBuffer;
};

/** True when each chunk was what was written. */
export type Answer = boolean;

/** More than a disk can take, and each needs some 15 MiB of memory. */
const mostThreads = 4;

/**
 * Decodes and hashes on threads of our own. Node's pool takes one chunk a call, and a call costs about as much as decoding
 * 128 KiB; here one message is about some MiB.
 */
export class DecodeThreads {
  #threads: DecodeThread[] | undefined;

  /** @returns false, too, when there are no threads: whoever wants to know what is wrong decodes once more, and is told */
  decode(job: DecodeJob): Promise<Answer> {
    this.#threads ??= Array.from({length: Math.min(mostThreads, availableParallelism())}, () => new DecodeThread());
    return this.#threads.reduce((best, thread) => (thread.load < best.load ? thread : best)).decode(job);
  }
}

class DecodeThread {
  readonly #worker = startThread('decode-thread');
  /** One for each job that is on its way; answers come in the order of the jobs. */
  readonly #waiting: ((answer: Answer) => void)[] = [];
  #isGone = false;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => {
      this.#waiting.shift()?.(answer);
      if (this.#waiting.length === 0) this.#worker.unref();
    });
    // It could not start, or ended: the work is done without it.
    const gone = () => {
      this.#isGone = true;
      for (const answer of this.#waiting.splice(0)) answer(false);
    };
    this.#worker.on('error', gone);
    this.#worker.on('exit', gone);
  }

  get load(): number {
    return this.#isGone ? Number.POSITIVE_INFINITY : this.#waiting.length;
  }

  decode(job: DecodeJob): Promise<Answer> {
    if (this.#isGone) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      // Whoever waits for an answer keeps the process; an idle thread does not.
      this.#worker.ref();
      const {buffer} = job.stored;
      // Without a copy; what a store gives is ours.
      this.#worker.postMessage(job, buffer.byteLength === job.stored.length ? [buffer as ArrayBuffer] : []);
    });
  }
}
