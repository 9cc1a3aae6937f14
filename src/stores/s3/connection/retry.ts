import type {Clock} from '../../../lib/clock.ts';
import type {Failure, FailureKind} from './failure.ts';

/** More tries than that say the same; with the waits below they fit the patience of a minute. */
const triesAtMost = 10;
const firstWaitMs = 100;
/** A server that asks for less needs longer to recover than a connection that broke. */
const firstWaitThrottledMs = 500;
const longestWaitMs = 10_000;
/** What a server may ask us to wait; more would be standing still. */
const longestAskedWaitMs = 30_000;
/** A server that never answered is more often a wrong address than one that starts just now. */
const triesBeforeFirstAnswer = 3;
/** And one that drops every connection more often speaks TLS where we do not than has a line that bad: six tries get through one
 * that breaks every third connection in all but one of a thousand starts. */
const brokenTriesBeforeFirstAnswer = 6;

export type RetryRules = {
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  /** 0 ≤ x < 1 */
  random: () => number;
  patienceMs: number;
  signal: AbortSignal | undefined;
  /** The failure behind what `work` threw; undefined = not the server's, so never again. */
  failureOf: (error: unknown) => Failure | undefined;
  /** True when this server answered before. */
  known: () => boolean;
};

export type Try = {
  /** From 1. */
  number: number;
  /** Tells that this try came forward: patience and tries start anew. */
  progressed: () => void;
};

/** @returns how many tries such a failure is worth; 1 = never again */
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
    // Bytes that are wrong twice are wrong in the store.
    case 'wrong answer':
      return 3;
    default:
      return 1;
  }
}

/**
 * The one retry loop for all calls: exponential waits with full jitter, bounded by tries and by patience.
 * @throws what the last try threw, or the signal's reason
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
