import {hostname} from 'node:os';
import {Command} from 'commander';
import {elsewhere} from '../../app/workers/elsewhere.ts';
import {ExitStatus} from '../../errors/index.ts';
import {type OperationRef, parseOperationId} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {idHelp} from './id-help.ts';

export type OperationCancelOptions = {ref: OperationRef};

export function operationCancel(deps: CommandDeps, run = runOperationCancel): Command {
  return new Command('cancel')
    .description(
      'Request that an operation stops. Its unfinished backup is removed; a finished operation is not changed.',
    )
    .argument('<id>', idHelp)
    .addHelpText('after', helpTail(['bkp operation cancel last'], ['done', 'usage', 'notFound']))
    .action(async (id: string) => deps.exitWith(await run(deps, {ref: parseOperationId(id)})));
}

/** Returns when the request is in the journal, before the operation has stopped: use `wait` for that. */
export async function runOperationCancel(deps: CommandDeps, {ref}: OperationCancelOptions): Promise<ExitStatus> {
  const journal = await deps.journal();
  const {number} = await journal.find(ref);
  await journal.requestCancel(number);
  const remote = elsewhere(await journal.get(number), hostname());
  if (remote !== undefined) deps.stderr.write(`${remote.detail}\nnext: ${remote.next}\n`);
  return ExitStatus.done;
}
