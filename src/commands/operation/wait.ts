import {Command} from 'commander';
import type {ExitStatus} from '../../errors/index.ts';
import {parseDuration} from '../../lib/duration.ts';
import {type OperationRef, parseOperationId, waitFor} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';
import {addFormatOption, type FormatFlags, formatOf, type OperationFormat} from '../format-option.ts';
import {helpTail} from '../help.ts';
import {idHelp} from './id-help.ts';
import {exitStatusOf, printOperation} from './print.ts';

export type OperationWaitOptions = {
  refs: readonly OperationRef[];
  /** For all operations together; absent: no timeout. */
  timeoutMs?: number | undefined;
  format: OperationFormat;
};

type Flags = FormatFlags & {timeout?: string};

export function operationWait(deps: CommandDeps, run = runOperationWait): Command {
  const command = new Command('wait')
    .description('Wait until operations are done, and print them.')
    .argument('<id...>', idHelp)
    .option('--timeout <duration>', 'stop waiting after this time (30s, 5m, 1h); the operation continues')
    .addHelpText(
      'after',
      helpTail(
        ['bkp operation wait last --timeout 1h && echo "backup done"'],
        ['done', 'failed', 'usage', 'partial', 'notFound', 'interrupted'],
      ),
    )
    .action(async (ids: string[], flags: Flags) => {
      deps.exitWith(
        await run(deps, {
          refs: ids.map(parseOperationId),
          timeoutMs: flags.timeout === undefined ? undefined : parseDuration(flags.timeout),
          format: formatOf(flags),
        }),
      );
    });
  return addFormatOption(command);
}

/** Waits for all concurrently, so the timeout applies once; prints those that ended, in the order of the arguments. */
export async function runOperationWait(deps: CommandDeps, options: OperationWaitOptions): Promise<ExitStatus> {
  const {refs, timeoutMs, format} = options;
  const journal = await deps.journal();
  const numbers = await Promise.all(refs.map(async (ref) => (await journal.find(ref)).number));
  const limits = {signal: deps.signal, ...(timeoutMs === undefined ? {} : {timeoutMs})};
  const waits = await Promise.allSettled(numbers.map((number) => waitFor(journal, number, limits)));

  const operations = waits.flatMap((wait) => (wait.status === 'fulfilled' ? [wait.value] : []));
  for (const operation of operations) printOperation(deps, operation, format);
  const givenUp = waits.find((wait) => wait.status === 'rejected');
  if (givenUp !== undefined) throw givenUp.reason;
  return exitStatusOf(operations);
}
