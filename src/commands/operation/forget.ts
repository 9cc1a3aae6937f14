import {Command} from 'commander';
import {forgetLeftover} from '../../app/orders/clean-after.ts';
import {ExitStatus} from '../../errors/index.ts';
import {type OperationRef, parseOperationId} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {idHelp} from './id-help.ts';

export type OperationForgetOptions = {ref: OperationRef};

export function operationForget(deps: CommandDeps, run = runOperationForget): Command {
  return new Command('forget')
    .description(
      'Remove the record of a finished operation, and what an interrupted restore left. Its backup is not touched.',
    )
    .argument('<id>', idHelp)
    .addHelpText('after', helpTail(['bkp operation forget fullbackup/1'], ['done', 'usage', 'notFound', 'refused']))
    .action(async (id: string) => deps.exitWith(await run(deps, {ref: parseOperationId(id)})));
}

export async function runOperationForget(deps: CommandDeps, {ref}: OperationForgetOptions): Promise<ExitStatus> {
  const journal = await deps.journal();
  const operation = await journal.find(ref);
  await journal.forget(operation.number);
  // The record is gone in any case: a database that cannot be reached keeps a file that the next restore removes.
  await forgetLeftover(deps, operation).catch(() => {});
  return ExitStatus.done;
}
