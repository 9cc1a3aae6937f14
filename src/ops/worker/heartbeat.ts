import {asPlain} from '../../errors/index.ts';
import {repeat} from '../../lib/repeat.ts';
import type {Journal} from '../journal/journal.ts';
import type {Limits, Operation, Progress} from '../operation.ts';
import {rateMeter} from '../progress.ts';

/** Frequent enough to look alive on a terminal and to stop soon after a cancel, too rare to slow the work down. */
const beatEveryMs = 300;

export type Heartbeat = {
  /** Keeps the figures for the next beat; cheap. */
  progress(progress: Progress): void;
  /** The limits that the last beat read; undefined if the operation was never throttled. */
  limits(): Limits | undefined;
  /** Reports the last figures and ends the heartbeat. */
  stop(): Promise<void>;
};

export type HeartbeatEvents = {
  log: (text: string) => void;
  /** Called by every beat once a cancel was requested. */
  cancel: () => void;
  /** Called by every beat of a throttled operation. */
  limited?: (limits: Limits) => void;
};

/** A heartbeat that another thread can take over. */
export type ThreadHeartbeat = Heartbeat & {
  /** Ends it without a last report, which could overwrite newer figures of the thread that takes over. */
  release(): void;
};

export type StartHeartbeat = (journal: Journal, operation: Operation, events: HeartbeatEvents) => Heartbeat;

/**
 * Writes progress into the journal a few times a second, and reads there whether the operation was cancelled or
 * throttled. If the journal cannot be written, the work continues and the next beat tries again.
 */
export function startHeartbeat(
  journal: Pick<Journal, 'report'>,
  operation: Operation,
  {log, cancel, limited}: HeartbeatEvents,
): ThreadHeartbeat {
  const measure = rateMeter();
  let latest: Progress = operation.progress;
  let limits = operation.limits;
  let failing = false;

  const beat = async () => {
    try {
      const state = await journal.report(operation.number, measure(latest, performance.now()));
      limits = state.limits ?? limits;
      if (state.limits !== undefined) limited?.(state.limits);
      if (state.cancelRequested) cancel();
      if (failing) log('the journal can be written again');
      failing = false;
    } catch (error) {
      const {message, cause} = asPlain(error);
      if (!failing) log(`progress cannot be written for now: ${message}${cause === undefined ? '' : `: ${cause}`}`);
      failing = true;
    }
  };
  // One report at a time, so that none overtakes a newer one.
  const beats = repeat(beat, () => beatEveryMs);
  return {
    progress(progress) {
      latest = progress;
    },
    limits: () => limits,
    async stop() {
      await beats.stop();
      await beat();
    },
    release: () => void beats.stop(),
  };
}
