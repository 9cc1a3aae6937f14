import {ExitStatus} from '../../errors/index.ts';
import {type Operation, statusOf} from '../../ops/index.ts';
import {renderOperation, renderOperationLine} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {type OperationFormat, tableStyle} from '../format-option.ts';

export function printOperation(deps: CommandDeps, operation: Operation, format: OperationFormat): void {
  const text =
    format === 'pretty' ? renderOperation(operation, tableStyle(deps)) : renderOperationLine(operation, format);
  deps.stdout.write(text);
}

/** The gravest of them: `failed` for one that was cancelled or failed, then `partial`; running ones have not failed. */
export function exitStatusOf(operations: readonly Operation[]): ExitStatus {
  const statuses = new Set(operations.map(statusOf));
  if (statuses.has('ERROR') || statuses.has('CANCELLED')) return ExitStatus.failed;
  return statuses.has('PARTIAL') ? ExitStatus.partial : ExitStatus.done;
}
