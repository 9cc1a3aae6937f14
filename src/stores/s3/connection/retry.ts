import type {Clock} from '../../../lib/clock.ts';
import type {Failure, FailureKind} from './failure.ts';

/** Further tries would fail too; with the waits below these fit into the patience of a minute. */
const triesAtMost = 10;
const firstWaitMs = 100;
/** A server that limits requests needs longer to recover than a broken connection. */
const firstWaitThrottledMs = 500;
const longestWaitMs = 10_000;
/** The longest pause that a server may request; more would stall the operation. */
const longestAskedWaitMs = 30_000;
/** A server that has never responded more often has a wrong address than is just starting. */
const triesBeforeFirstAnswer = 3;
/**
 * A server that drops every connection more often expects TLS than has such a bad connection. Six tries fail once
 * in a thousand times if every third connection breaks.
 */
const brokenTriesBeforeFirstAnswer = 6;

export type RetryRules = {
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  /** 0 ≤ x < 1 */
  random: () => number;
  patienceMs: number;
  signal: AbortSignal | undefined;
  /** The failure behind an error of `work`; undefined = not caused by the server, so it is not retried. */
  failureOf: (error: unknown) => Failure | undefined;
  /** True if this server has responded before. */
  known: () => boolean;
};

export type Try = {
  /** Starts at 1. */
  number: number;
  /** Reports progress of this try, which resets the patience and the number of tries. */
  progressed: () => void;
};

/** @returns the number of tries for such a failure; 1 = no retry */
function triesWorth(kind: FailureKind, known: boolean): number {
  switch (kind) {
    case 'throttled':
    case 'server':
    case 'conflict':
      return triesAtMost;
    case 'connection':
      return known ? triesAtMost : brokenTriesBeforeFirstAnswer;
    case 'refused connection':
    case 'unknown host':
      return known ? triesAtMost : triesBeforeFirstAnswer;
    // Bytes that are wrong again after a retry are wrong in the store.
    case 'unexpected response':
      return 3;
    default:
      return 1;
  }
}

/**
 * The retry loop of all calls: exponential waits with full jitter, limited by the number of tries and by the patience.
 * @throws the error of the last try, or the signal's reason
 */
export async function withRetries<T>(work: (current: Try) => Promise<T>, rules: RetryRules): Promise<T> {
  const {clock, signal} = rules;
  let failures = 0;
  let firstFailureMs: number | undefined;
  const progressed = () => {
    failures = 0;
    firstFailureMs = undefined;
  };
  for (let number = 1; ; number++) {
    signal?.throwIfAborted();
    try {
      return await work({number, progressed});
    } catch (error) {
      signal?.throwIfAborted();
      const failure = rules.failureOf(error);
      if (failure === undefined) throw error;
      failures += 1;
      if (failures >= triesWorth(failure.kind, rules.known())) throw error;
      const nowMs = clock.monotonicMs();
      firstFailureMs ??= nowMs;
      const waitMs = waitBefore(failures, failure, rules.random());
      if (nowMs + waitMs - firstFailureMs > rules.patienceMs) throw error;
      await clock.sleep(waitMs, signal);
    }
  }
}

function waitBefore(failures: number, failure: Failure, random: number): number {
  const first = failure.kind === 'throttled' ? firstWaitThrottledMs : firstWaitMs;
  const jittered = random * Math.min(longestWaitMs, first * 2 ** (failures - 1));
  return Math.max(jittered, Math.min(failure.retryAfterMs ?? 0, longestAskedWaitMs));
}
