import {asPlain, BkpError, ExitStatus, renderError} from '../../errors/index.ts';
import type {Journal} from '../journal/journal.ts';
import {operationId} from '../kinds.ts';
import {openLog} from '../log-file.ts';
import type {Operation, OperationNumber, OperationOutcome, Work, WorkContext} from '../operation.ts';
import {delivered, failure} from '../outcome.ts';
import {type StartHeartbeat, startHeartbeat} from './heartbeat.ts';

/** `process`, or a test's stand-in. */
export type SignalSource = {
  on(name: NodeJS.Signals, listener: () => void): unknown;
  off(name: NodeJS.Signals, listener: () => void): unknown;
};

export type RunOptions = {
  journal: Journal;
  number: OperationNumber;
  work: Work;
  /** SIGTERM and SIGINT cancel the operation; SIGHUP, sent when a terminal closes, is ignored. */
  signals: SignalSource;
  nowMicros: () => number;
  /** Default: a timer of this thread, which cannot run while one call of the work blocks the thread. */
  heartbeat?: StartHeartbeat;
  /** Called before the work begins; the work does not wait for what this starts. */
  began?: (event: OperationEvent) => void;
  /** Called when the journal has the outcome. Its failure changes neither the outcome nor the exit status. */
  ended?: (event: OperationEvent) => Promise<void>;
};

export type OperationEvent = {operation: Operation; log: (text: string) => void};

/**
 * Carries out one operation in this process: claims it, reports while it works, and writes its outcome.
 * @returns the exit status of the worker: `done` when the journal has the outcome, whatever it is, or when another
 *   process has the operation; `failed` when the outcome could not be written: the next reader then finds a dead worker
 * @throws BkpError `JOURNAL_UNAVAILABLE` when the operation could not even be claimed
 */
export async function runOperation(options: RunOptions): Promise<ExitStatus> {
  const {journal, number, signals} = options;
  const abort = new AbortController();
  const cancel = () => abort.abort(new BkpError('CANCELLED', `operation ${number} was cancelled`));
  // Before the claim, so that a signal cannot end the process while the claim is being made.
  const stopListening = listen(signals, cancel);
  try {
    const operation = await journal.claim(number);
    return operation === undefined
      ? ExitStatus.done
      : await carryOut(operation, options, {abort, cancel, stopListening});
  } finally {
    stopListening();
  }
}

type Cancelling = {abort: AbortController; cancel: () => void; stopListening: () => void};

async function carryOut(
  operation: Operation,
  {journal, number, work, nowMicros, ...options}: RunOptions,
  {abort: {signal}, cancel, stopListening}: Cancelling,
): Promise<ExitStatus> {
  const id = operationId(operation);
  const log = openLog(operation.logFile, nowMicros);
  log.write(`${id} starts in process ${process.pid}: ${operation.statement}`);
  const logCancel = () => log.write('cancel requested');
  if (signal.aborted) logCancel();
  else signal.addEventListener('abort', logCancel, {once: true});
  const heartbeat = (options.heartbeat ?? startHeartbeat)(journal, operation, {log: log.write, cancel});
  const reportEnd = async () => options.ended?.({operation: await journal.get(number), log: log.write});
  try {
    options.began?.({operation, log: log.write});
    const outcome = await outcomeOf(work, {
      operation,
      signal,
      progress: (figures) => heartbeat.progress(figures),
      limits: () => heartbeat.limits(),
      log: log.write,
    });
    await heartbeat.stop();
    const kept = await keep(journal, number, outcome, log.write);
    log.write(`${id} ended: ${outcome.status}${kept ? '' : ', but the journal does not have it'}`);
    // Nothing is left to cancel: a signal may end the process from here on.
    stopListening();
    if (kept) await reportEnd().catch((error) => log.write(renderError(asPlain(error))));
    return kept ? ExitStatus.done : ExitStatus.failed;
  } finally {
    signal.removeEventListener('abort', logCancel);
    log.close();
  }
}

/** Work that finishes in spite of a cancel is a success: its result exists. */
async function outcomeOf(work: Work, context: WorkContext): Promise<OperationOutcome> {
  try {
    return delivered(await work(context));
  } catch (error) {
    if (context.signal.aborted) {
      if (error !== context.signal.reason) context.log(`stopped: ${asPlain(error).message}`);
      return {status: 'CANCELLED', result: {}};
    }
    context.log(renderError(asPlain(error)));
    return failure(error);
  }
}

/** Space may be freed or a lock released; after this time a dead worker is better than one that keeps waiting. */
const keepTryingForMs = 60_000;
const pauseMs = 500;

/** @returns whether the journal has this outcome */
async function keep(
  journal: Journal,
  number: OperationNumber,
  outcome: OperationOutcome,
  log: (text: string) => void,
): Promise<boolean> {
  for (let left = keepTryingForMs / pauseMs; ; left--) {
    try {
      const first = await journal.finish(number, outcome);
      if (!first) log('the journal already had another outcome for this operation');
      return first;
    } catch (error) {
      if (left === keepTryingForMs / pauseMs || left <= 0) log(renderError(asPlain(error)));
      if (left <= 0) return false;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

function listen(signals: SignalSource, cancel: () => void): () => void {
  const ignore = () => {};
  const listeners = [
    ['SIGTERM', cancel],
    ['SIGINT', cancel],
    ['SIGHUP', ignore],
  ] as const;
  for (const [name, listener] of listeners) signals.on(name, listener);
  return () => {
    for (const [name, listener] of listeners) signals.off(name, listener);
  };
}
