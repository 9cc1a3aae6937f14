import {setTimeout as delay} from 'node:timers/promises';

/** Two clocks under two names, so that a decision is never made on the one that people can set. */
export type Clock = {
  /** Milliseconds since 1970. May jump; for timestamps that people read or that outlast the process. */
  wallMs(): number;
  /** Never goes back. Its zero is arbitrary, and the same in all threads. Leases and timeouts are decided on it. */
  monotonicMs(): number;
  /** Rejects with the signal's reason as soon as it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs `work` every `ms` until the returned function is called; does not keep the process alive. */
  every(ms: number, work: () => void): () => void;
};

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  // performance.now() counts from the start of each thread instead.
  monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal === undefined ? {} : {signal});
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
  every: (ms, work) => {
    const timer = setInterval(work, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** 0 ≤ x < 1 */
export const systemRandom: () => number = Math.random;
