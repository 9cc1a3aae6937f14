import {ExitStatus} from '../errors/index.ts';

/** The meaning of each exit status, in the order of the numbers. */
export const exitStatusMeanings: Readonly<Record<keyof typeof ExitStatus, string>> = {
  done: 'done',
  failed: 'failed',
  usage: 'wrong arguments, or a statement that does not parse',
  partial: 'finished with parts left out',
  notFound: 'no such operation, collection, backup or table',
  locked: 'another operation is using the same object',
  refused: 'refused, nothing was changed',
  damaged: 'damaged or missing data was found',
  interrupted: 'interrupted',
};

type StatusName = keyof typeof ExitStatus;
const everyStatus = Object.keys(ExitStatus) as StatusName[];

/**
 * The end of every help text: the exit statuses that the command may return, and examples.
 * @param statuses default: all of them
 */
export function helpTail(examples: readonly string[], statuses: readonly StatusName[] = everyStatus): string {
  const exits = statuses.map((name) => `  ${String(ExitStatus[name]).padEnd(4)} ${exitStatusMeanings[name]}`);
  return ['', 'Exit status:', ...exits, '', 'Examples:', ...examples.map((line) => `  $ ${line}`)].join('\n');
}
