import {ExitStatus} from '../../errors/index.ts';
import type {Operation} from '../../ops/index.ts';
import {renderOperation, renderOperationLine} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {type OperationFormat, tableStyle} from '../format-option.ts';

export function printOperation(deps: CommandDeps, operation: Operation, format: OperationFormat): void {
  const text =
    format === 'pretty' ? renderOperation(operation, tableStyle(deps)) : renderOperationLine(operation, format);
  deps.stdout.write(text);
}

/** `failed` when one of them was cancelled or failed; what still runs has not failed. */
export function exitStatusOf(operations: readonly Operation[]): ExitStatus {
  const bad = operations.some(({state}) => state.name === 'done' && state.outcome.status !== 'SUCCESS');
  return bad ? ExitStatus.failed : ExitStatus.done;
}
