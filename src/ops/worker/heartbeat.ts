import {asPlain} from '../../errors/index.ts';
import {repeat} from '../../lib/repeat.ts';
import type {Journal} from '../journal/journal.ts';
import type {Limits, Operation, Progress} from '../operation.ts';
import {rateMeter} from '../progress.ts';

/** Often enough to look alive on a terminal and to stop soon after a cancel, too seldom to be felt by the work. */
const beatEveryMs = 300;

export type Heartbeat = {
  /** Keeps the figures for the next beat; costs nothing. */
  progress(progress: Progress): void;
  /** What the last beat heard of a throttle. */
  limits(): Limits | undefined;
  /** Writes the last figures and ends. */
  stop(): Promise<void>;
};

export type HeartbeatEvents = {
  log: (text: string) => void;
  /** Called with every beat from the one that heard of a cancel on. */
  cancel: () => void;
  /** What a throttle said, with every beat as long as it holds. */
  limited?: (limits: Limits) => void;
};

/** A heartbeat that another thread can take over. */
export type ThreadHeartbeat = Heartbeat & {
  /** Ends it without a last report, which could overwrite newer figures of the thread that takes over. */
  release(): void;
};

export type StartHeartbeat = (journal: Journal, operation: Operation, events: HeartbeatEvents) => Heartbeat;

/**
 * Writes progress into the journal a few times a second, and looks for a cancel and a throttle there. A journal that cannot be written
 * is no reason to stop the work; it is tried again with the next beat.
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
      const heard = await journal.report(operation.number, measure(latest, performance.now()));
      limits = heard.limits ?? limits;
      if (heard.limits !== undefined) limited?.(heard.limits);
      if (heard.cancelRequested) cancel();
      if (failing) log('the journal can be written again');
      failing = false;
    } catch (error) {
      const {message, cause} = asPlain(error);
      if (!failing) log(`progress is not visible for now: ${message}${cause === undefined ? '' : `: ${cause}`}`);
      failing = true;
    }
  };
  // One report at a time, so that none overtakes a newer one.
  const beats = repeat(beat, beatEveryMs);
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
