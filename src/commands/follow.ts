import {BkpError} from '../errors/index.ts';
import {repeat} from '../lib/repeat.ts';
import type {Journal, Operation, OperationNumber} from '../ops/index.ts';
import {leaveNote, type Subscribe, showLines, showLive, type ViewEnd} from '../ui/index.ts';
import type {CommandDeps} from './deps.ts';

/**
 * The pause between two polls. It grows with the wait, so that the end of an operation is noticed at most a fiftieth
 * of its time too late; the most is still short enough for a smooth progress bar. A poll takes well under a
 * millisecond.
 */
const pollMs = {least: 10, most: 250, part: 1 / 50};
/** Between two checks whether workers are still alive. */
const reapEveryMs = 1_000;

export type FollowOptions = {
  /** Default: all open operations, and those that start in the meantime. */
  numbers?: readonly OperationNumber[];
  /** The stream for lines when there is no terminal: stdout if they are the result, else stderr. */
  linesTo: 'stdout' | 'stderr';
  /** True: the caller reports why an operation failed. */
  withoutErrors?: boolean;
  /** Show nothing while it waits. Default false. */
  quiet?: boolean;
};

/**
 * Shows operations until they are done or the user leaves: live on a terminal, else as lines.
 * After leaving, prints on stderr which operations continue.
 */
export async function follow(
  deps: CommandDeps,
  {numbers, linesTo, withoutErrors = false, quiet = false}: FollowOptions,
): Promise<ViewEnd> {
  const journal = await deps.journal();
  const subscribe = subscribeTo(journal, numbers);
  const {signal, stdin, stdout, colors, env} = deps;
  const nowMicros = neverBack(deps.nowMicros);
  // A live view needs a terminal that can move the cursor.
  const end =
    !quiet && stdout.isTTY && env.TERM !== 'dumb'
      ? await showLive({
          ...{stdin, stdout, colors, subscribe, nowMicros, signal, withoutErrors},
          cancel: ({number}) => void journal.requestCancel(number),
        })
      : await showLines({
          subscribe,
          nowMicros,
          signal,
          withoutErrors,
          write: (text) => void (quiet || deps[linesTo].write(text)),
        });
  if (end.why === 'left') deps.stderr.write(leaveNote(end.operations));
  return end;
}

/** A clock that never runs backwards, even if the wall clock is set back: waiting times must not shrink. */
function neverBack(now: () => number): () => number {
  let latest = Number.NEGATIVE_INFINITY;
  return () => {
    latest = Math.max(latest, now());
    return latest;
  };
}

/** Polls the journal. */
function subscribeTo(journal: Journal, numbers: readonly OperationNumber[] | undefined): Subscribe {
  return (listener) => {
    const seen = new Set<OperationNumber>(numbers);
    const startedAtMs = performance.now();
    let reapedAtMs = startedAtMs;
    let stopped = false;
    const pauseMs = () => {
      const waitedMs = performance.now() - startedAtMs;
      return Math.min(Math.max(waitedMs * pollMs.part, pollMs.least), pollMs.most);
    };
    const poll = async () => {
      if (performance.now() - reapedAtMs >= reapEveryMs) {
        reapedAtMs = performance.now();
        await journal.reap();
      }
      if (numbers === undefined) for (const {number} of await journal.open()) seen.add(number);
      const found = await Promise.all([...seen].map((number) => stillThere(journal, number)));
      if (!stopped) listener(found.flat());
    };
    // A poll that fails ends the process with its error, like any rejection that no code handles.
    void poll();
    const polling = repeat(poll, pauseMs);
    return () => {
      stopped = true;
      void polling.stop();
    };
  };
}

/** Empty for an operation that was forgotten while it was watched. */
async function stillThere(journal: Journal, number: OperationNumber): Promise<Operation[]> {
  try {
    return [await journal.get(number)];
  } catch (error) {
    if (error instanceof BkpError && error.code === 'OPERATION_NOT_FOUND') return [];
    throw error;
  }
}
