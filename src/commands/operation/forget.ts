import {Command} from 'commander';
import {ExitStatus} from '../../errors/index.ts';
import {type OperationRef, parseOperationId} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {idHelp} from './id-help.ts';

export type OperationForgetOptions = {ref: OperationRef};

export function operationForget(deps: CommandDeps, run = runOperationForget): Command {
  return new Command('forget')
    .description('Remove the record of a finished operation. Its backup is not touched.')
    .argument('<id>', idHelp)
    .addHelpText('after', helpTail(['bkp operation forget fullbackup/1'], ['done', 'usage', 'notFound', 'refused']))
    .action(async (id: string) => deps.exitWith(await run(deps, {ref: parseOperationId(id)})));
}

export async function runOperationForget(deps: CommandDeps, {ref}: OperationForgetOptions): Promise<ExitStatus> {
  const journal = await deps.journal();
  const {number} = await journal.find(ref);
  await journal.forget(number);
  return ExitStatus.done;
}
