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

/** `failed` if one of them was cancelled or failed; running operations have not failed. */
export function exitStatusOf(operations: readonly Operation[]): ExitStatus {
  const bad = operations.some(({state}) => state.name === 'done' && state.outcome.status !== 'SUCCESS');
  return bad ? ExitStatus.failed : ExitStatus.done;
}
