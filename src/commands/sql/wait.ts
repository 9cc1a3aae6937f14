import {BkpError, fromPlain} from '../../errors/index.ts';
import {type Operation, operationId} from '../../ops/index.ts';
import {type RowFormat, renderOperationLine} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {follow} from '../follow.ts';

/**
 * Shows the operation until it is done. With `json` it prints the operation, as `operation get` does.
 * @param options.ended is called with the operation at the end of the wait, before anything else is printed
 * @returns `left` after a Ctrl-C: the operation continues
 * @throws BkpError the error of the operation, which then determines the exit status
 */
export async function waitForOperation(
  deps: CommandDeps,
  {number}: Operation,
  {quiet, format, ended}: {quiet: boolean; format: RowFormat; ended: (operation: Operation) => void},
): Promise<'done' | 'left'> {
  const end = await follow(deps, {numbers: [number], linesTo: 'stderr', withoutErrors: true, quiet});
  const journal = await deps.journal();
  const operation = await journal.get(number);
  ended(operation);
  if (end.why === 'left') return 'left';
  if (format === 'json' && !quiet) deps.stdout.write(renderOperationLine(operation, 'json'));
  if (operation.state.name !== 'done') return 'left';
  const {outcome} = operation.state;
  switch (outcome.status) {
    case 'SUCCESS':
      return 'done';
    case 'PARTIAL':
      throw new BkpError('PARTIAL', `${operationId(operation)} delivered a part of what was asked for`, {
        details: outcome.result.missing.map(({name, why}) => `${name} is missing: ${why}`),
        next: `bkp operation get ${operationId(operation)} prints what was restored`,
      });
    case 'CANCELLED':
      throw new BkpError('CANCELLED', `${operationId(operation)} was cancelled`);
    case 'ERROR':
      throw fromPlain(outcome.error);
  }
}
