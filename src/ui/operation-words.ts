import {formatBytes, formatCount, formatDuration, formatPercent, formatRate} from '../lib/figures.ts';
import {hasPercent, type Operation, type OperationIssue, type OperationResult, phaseOf} from '../ops/index.ts';

/** @returns the phase, with the percentage where it says something: `TransferData (12.34%)` */
export function progressOf(operation: Operation): string {
  const phase = phaseOf(operation);
  return hasPercent(phase) ? `${phase} (${formatPercent(operation.progress.percent)})` : phase;
}

/** @returns the lines of an issue: the message, then its cause and the next step */
export function issueLines({message, cause, next}: OperationIssue): string[] {
  const labelled = (label: string, text: string | undefined) => (text === undefined ? [] : [`${label}${text}`]);
  return [...message.split('\n'), ...labelled('cause: ', cause), ...labelled('next:  ', next)];
}

/** @returns the row counts of a result: `3`, `1 deleted` */
export function rowWords(result: OperationResult): string[] {
  const words: string[] = [];
  if (result.rows !== undefined) words.push(formatCount(result.rows));
  if (result.deletedRows) words.push(`${formatCount(result.deletedRows)} deleted`);
  return words;
}

/** @returns a line for each table into which rows were restored: `orders: 3 inserted, 1 updated, 7 kept` */
export function mergedLines({merged = []}: OperationResult): string[] {
  return merged.map(({name, ...counts}) => {
    const words = Object.entries(counts).filter(([, count]) => count > 0);
    return `${name}: ${words.map(([word, count]) => `${formatCount(count)} ${word}`).join(', ') || 'nothing to do'}`;
  });
}

/** @returns the sizes of a result: `1.2 MiB`, `300 KiB stored` */
export function byteWords(result: OperationResult): string[] {
  const words: string[] = [];
  if (result.logicalBytes !== undefined) words.push(formatBytes(result.logicalBytes));
  if (result.storedBytes !== undefined) words.push(`${formatBytes(result.storedBytes)} stored`);
  if (result.freedBytes !== undefined) words.push(`${formatBytes(result.freedBytes)} freed`);
  if (result.readBytes !== undefined) words.push(`${formatBytes(result.readBytes)} read`);
  return words;
}

/** @returns how far the needed bytes are verified: `97.12% of 120 GiB`, `the oldest at 2026-11-10T02:00:00Z` */
export function coverageWords({neededBytes, neverVerifiedBytes = 0, oldestVerifiedAt}: OperationResult): string[] {
  if (neededBytes === undefined) return [];
  const percent = neededBytes === 0 ? 100 : (1 - neverVerifiedBytes / neededBytes) * 100;
  const share = `${formatPercent(percent)} of ${formatBytes(neededBytes)}`;
  return oldestVerifiedAt === undefined ? [share] : [share, `the oldest at ${oldestVerifiedAt.replace(/\.\d+/, '')}`];
}

/**
 * @returns rows and sizes for one line: `3 rows`, `1 deleted`, `1.2 MiB`, `300 KiB stored`; with rows that came into
 *   tables that exist, these tables instead
 */
export function resultWords(result: OperationResult): string[] {
  if (result.merged !== undefined) return mergedLines(result);
  if (result.rows === undefined) return byteWords(result);
  const [, ...deleted] = rowWords(result);
  return [formatCount(result.rows, 'row'), ...deleted, ...byteWords(result)];
}

/** The figures of a running operation that are known. */
export type Figures = {
  /** `12.3 MiB of 27 MiB` */
  amount?: string;
  /** `5.1 MiB/s` */
  rate?: string;
  /** `3 s left` */
  left?: string;
};

export function figuresOf({progress}: Operation): Figures {
  const {bytesDone, bytesTotal, itemsDone, itemsTotal, bytesPerSecond, secondsLeft} = progress;
  const figures: Figures = {};
  if (bytesTotal !== undefined) figures.amount = `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`;
  else if (bytesDone > 0) figures.amount = formatBytes(bytesDone);
  else if (itemsTotal !== undefined) figures.amount = `${formatCount(itemsDone)} of ${formatCount(itemsTotal)}`;
  if (bytesPerSecond !== undefined) figures.rate = formatRate(bytesPerSecond);
  if (secondsLeft !== undefined) figures.left = `${formatDuration(secondsLeft)} left`;
  return figures;
}

/** @returns the figures of a running operation: `12.3 MiB of 27 MiB`, `5.1 MiB/s`, `3 s left` */
export const figureWords = (operation: Operation): string[] => Object.values(figuresOf(operation));
