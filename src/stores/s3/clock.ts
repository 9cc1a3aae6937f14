import {setTimeout as sleep} from 'node:timers/promises';

/** What retries and the pace know of time; tests hand in their own. */
export type Clock = {
  nowMs(): number;
  /** Rejects with the signal's reason as soon as it is aborted. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
  /** 0 ≤ x < 1 */
  random(): number;
};

export const realClock: Clock = {
  nowMs: () => performance.now(),
  async sleep(durationMs, signal) {
    try {
      await sleep(durationMs, undefined, signal === undefined ? {} : {signal});
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
  random: Math.random,
};
