import {setTimeout as delay} from 'node:timers/promises';

/** What the vault knows of time. */
export type Clock = {
  /** Milliseconds since 1970; only written down for people. */
  nowMs(): number;
  /** Never goes back; its zero means nothing, and is the same in all threads. All decisions are made on it. */
  monotonicMs(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs `work` every `ms` until the returned function is called; does not keep the process alive. */
  every(ms: number, work: () => void): () => void;
};

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  // Not performance.now(): each thread counts that from its own start.
  monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal === undefined ? {} : {signal});
  },
  every: (ms, work) => {
    const timer = setInterval(work, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};
