import {Command} from 'commander';
import {ExitStatus} from '../../errors/index.ts';
import {type OperationRef, parseOperationId} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';
import {follow} from '../follow.ts';
import {helpTail} from '../help.ts';
import {exitStatusOf} from './print.ts';

export type OperationWatchOptions = {
  /** Empty: all running operations. */
  refs: readonly OperationRef[];
};

export function operationWatch(deps: CommandDeps, run = runOperationWatch): Command {
  return new Command('watch')
    .description(
      'Show running operations: live on a terminal, else as lines. q leaves while the work continues; c cancels.',
    )
    .argument('[id...]', 'fullbackup/1, or its number alone, or last; default: all running operations')
    .addHelpText(
      'after',
      helpTail(
        ['bkp operation watch', 'bkp operation watch last | tee backup.log'],
        ['done', 'failed', 'usage', 'partial', 'notFound'],
      ),
    )
    .action(async (ids: string[]) => deps.exitWith(await run(deps, {refs: ids.map(parseOperationId)})));
}

export async function runOperationWatch(deps: CommandDeps, {refs}: OperationWatchOptions): Promise<ExitStatus> {
  const journal = await deps.journal();
  const numbers = await Promise.all(refs.map(async (ref) => (await journal.find(ref)).number));
  if (numbers.length === 0 && (await journal.open()).length === 0) {
    deps.stderr.write('no operation is running\n');
    return ExitStatus.done;
  }
  const {operations} = await follow(deps, {...(numbers.length === 0 ? {} : {numbers}), linesTo: 'stdout'});
  return exitStatusOf(operations);
}
