import {unreachable} from '../errors/index.ts';
import {formatBytes, formatCount, formatDuration, formatPercent, formatRate} from '../lib/figures.ts';
import {isBackupKind, type Operation, type OperationIssue, type OperationResult} from '../ops/index.ts';

/** The words of the operation model, the same in every rendering. */
export type StatusShown = 'PROGRESS' | 'SUCCESS' | 'CANCELLED' | 'ERROR';

export function statusOf({state}: Operation): StatusShown {
  switch (state.name) {
    case 'queued':
    case 'running':
      return 'PROGRESS';
    case 'done':
      return state.outcome.status;
    default:
      return unreachable(state);
  }
}

/** Where it stands, as one word: `Preparing`, `TransferData`, another phase's name, `Cancellation`, `Cancelled`, `Done`. */
export function phaseOf({state, progress}: Operation): string {
  switch (state.name) {
    case 'queued':
      return 'Preparing';
    case 'running':
      return state.cancelRequested ? 'Cancellation' : progress.phase || 'Preparing';
    case 'done':
      return state.outcome.status === 'CANCELLED' ? 'Cancelled' : 'Done';
    default:
      return unreachable(state);
  }
}

const phasesWithoutPercent = ['Preparing', 'Cancellation', 'Cancelled', 'Done'];

/** The phase, and how far it is where that says something: `TransferData (12.34%)`. */
export function progressOf(operation: Operation): string {
  const phase = phaseOf(operation);
  if (phasesWithoutPercent.includes(phase)) return phase;
  return `${phase} (${formatPercent(operation.progress.percent)})`;
}

/** What is to be said beside how it ended. */
export function noticesOf({state}: Operation): readonly OperationIssue[] {
  return state.name === 'done' ? (state.outcome.result.notices ?? []).map((message) => ({message})) : [];
}

/** What went wrong, and what a success has to add; empty when there is nothing to say. */
export function issuesOf(operation: Operation): readonly OperationIssue[] {
  const notices = noticesOf(operation);
  const {state} = operation;
  if (state.name !== 'done') return [];
  const {outcome} = state;
  if (outcome.status !== 'ERROR') return notices;
  const {message, code, cause, next} = outcome.error;
  const own: OperationIssue = {
    message,
    code,
    ...(cause === undefined ? {} : {cause}),
    ...(next === undefined ? {} : {next}),
  };
  return [...(outcome.issues.length > 0 ? outcome.issues : [own]), ...notices];
}

/** An issue as lines for people: the message, then its cause and the next step. */
export function issueLines({message, cause, next}: OperationIssue): string[] {
  const labelled = (label: string, text: string | undefined) => (text === undefined ? [] : [`${label}${text}`]);
  return [...message.split('\n'), ...labelled('cause: ', cause), ...labelled('next:  ', next)];
}

export function resultOf({state}: Operation): OperationResult {
  return state.name === 'done' ? state.outcome.result : {};
}

/** The backup that it made or works on, or that it is about to make. One that was to be made and was not has no name. */
export function backupOf(operation: Operation): string | undefined {
  const {kind, state, backup} = operation;
  const isUnmade = state.name === 'done' && state.outcome.status !== 'SUCCESS' && isBackupKind(kind);
  return resultOf(operation).backup ?? (isUnmade ? undefined : backup);
}

/** What a finished operation did to rows: `3`, `1 deleted`. */
export function rowWords(result: OperationResult): string[] {
  const words: string[] = [];
  if (result.rows !== undefined) words.push(formatCount(result.rows));
  if (result.deletedRows) words.push(`${formatCount(result.deletedRows)} deleted`);
  return words;
}

/** And to bytes: `1.2 MiB`, `300 KiB stored`. */
export function byteWords(result: OperationResult): string[] {
  const words: string[] = [];
  if (result.logicalBytes !== undefined) words.push(formatBytes(result.logicalBytes));
  if (result.storedBytes !== undefined) words.push(`${formatBytes(result.storedBytes)} stored`);
  if (result.freedBytes !== undefined) words.push(`${formatBytes(result.freedBytes)} freed`);
  return words;
}

/** Both in one line: `3 rows, 1 deleted, 1.2 MiB, 300 KiB stored`. */
export function resultWords(result: OperationResult): string[] {
  if (result.rows === undefined) return byteWords(result);
  const [, ...deleted] = rowWords(result);
  return [formatCount(result.rows, 'row'), ...deleted, ...byteWords(result)];
}

/** What a running operation's figures say: `12.3 MiB of 27 MiB`, `5.1 MiB/s`, `3 s left`. */
export function figureWords({progress}: Operation): string[] {
  const words: string[] = [];
  const {bytesDone, bytesTotal, itemsDone, itemsTotal, bytesPerSecond, secondsLeft} = progress;
  if (bytesTotal !== undefined) words.push(`${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`);
  else if (bytesDone > 0) words.push(formatBytes(bytesDone));
  else if (itemsTotal !== undefined) words.push(`${formatCount(itemsDone)} of ${formatCount(itemsTotal)}`);
  if (bytesPerSecond !== undefined) words.push(formatRate(bytesPerSecond));
  if (secondsLeft !== undefined) words.push(`${formatDuration(secondsLeft)} left`);
  return words;
}
