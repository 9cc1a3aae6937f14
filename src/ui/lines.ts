import {printable} from '../lib/text.ts';
import {secondsText} from '../lib/time.ts';
import {
  backupOf,
  hasResult,
  issuesOf,
  noticesOf,
  type Operation,
  operationId,
  phaseOf,
  resultOf,
  statusOf,
} from '../ops/index.ts';
import {figureWords, issueLines, progressOf, resultWords} from './operation-words.ts';
import type {Subscribe, ViewEnd} from './subscribe.ts';

/** Long enough to keep the log of a night short, short enough that the command does not seem to hang. */
const quietSeconds = 10;

export type LinesOptions = {
  subscribe: Subscribe;
  write: (text: string) => void;
  nowMicros: () => number;
  /** Aborted: stop watching; the work continues. */
  signal: AbortSignal;
  /** The caller prints why an operation failed. */
  withoutErrors?: boolean;
};

/** The view for a pipe or a log: a line when a phase changes, when an operation ends, and every ten seconds. */
export function showLines({
  subscribe,
  write,
  nowMicros,
  signal,
  withoutErrors = false,
}: LinesOptions): Promise<ViewEnd> {
  const printed = new Map<number, {phase: string; atMicros: number}>();

  const printIfDue = (operation: Operation) => {
    const phase = phaseOf(operation);
    const before = printed.get(operation.number);
    const now = nowMicros();
    const running = operation.state.name !== 'done';
    if (before?.phase === phase && !(running && now - before.atMicros >= quietSeconds * 1_000_000)) return;
    printed.set(operation.number, {phase, atMicros: now});
    write(linesOf(operation, now, withoutErrors));
  };

  return new Promise((resolve) => {
    let operations: readonly Operation[] = [];
    let stop: (() => void) | undefined;
    let ended = false;
    const end = (why: ViewEnd['why']) => {
      ended = true;
      stop?.();
      signal.removeEventListener('abort', leave);
      resolve({why, operations});
    };
    const leave = () => end('left');
    signal.addEventListener('abort', leave);
    stop = subscribe((seen) => {
      if (ended) return;
      operations = seen;
      for (const operation of seen) printIfDue(operation);
      if (seen.every(({state}) => state.name === 'done')) end('finished');
    });
    if (ended) stop();
    else if (signal.aborted) leave();
  });
}

function linesOf(operation: Operation, nowMicros: number, withoutErrors: boolean): string {
  const head = `${secondsText(nowMicros)} ${operationId(operation)}`;
  if (operation.state.name !== 'done') return line([`${head} ${progressOf(operation)}`, ...figureWords(operation)]);
  const backup = backupOf(operation);
  const summary = line([
    `${head} ${statusOf(operation)}`,
    ...(backup === undefined || !hasResult(operation) ? [] : [backup]),
    ...resultWords(resultOf(operation)),
  ]);
  const issues = (withoutErrors ? noticesOf(operation) : issuesOf(operation)).flatMap(issueLines);
  return [summary, ...issues.map((text) => line([`${head} ${text}`]))].join('');
}

function line(words: string[]): string {
  return `${printable(words.join(', '))}\n`;
}
