import {assert, BkpError} from '../../errors/index.ts';
import {secondsText} from '../../lib/time.ts';
import {kindNoun, operationId} from '../kinds.ts';
import type {Operation, OperationKind, OperationNumber} from '../operation.ts';
import {subjectText} from '../subject.ts';

export function busy(holder: Operation): BkpError {
  const id = operationId(holder);
  const since =
    holder.state.name === 'running'
      ? `runs since ${secondsText(holder.state.startedAtMicros)}`
      : `is queued since ${secondsText(holder.createdAtMicros)}`;
  return new BkpError('BUSY', `${subjectText(holder.subject)} is busy`, {
    cause: `operation ${id} ${since}`,
    next: `bkp operation get ${id} shows its progress, bkp operation wait ${id} waits for its end`,
    context: {operation: id},
    retryable: true,
  });
}

export function notFound(
  number: OperationNumber,
  kind: OperationKind | undefined,
  found: Operation | undefined,
): BkpError {
  return new BkpError('OPERATION_NOT_FOUND', `${kindNoun(kind)} with id ${number} is not found`, {
    ...(found === undefined ? {} : {cause: `the operation with this number is ${operationId(found)}`}),
    next: found === undefined ? 'bkp operation list shows all operations' : `bkp operation get ${operationId(found)}`,
  });
}

export function ended(operation: Operation): BkpError {
  const id = operationId(operation);
  assert(operation.state.name === 'done', `${id} is not done, but could not be throttled`);
  return new BkpError('PRECONDITION', `${kindNoun(operation.kind)} with id ${operation.number} is done already`, {
    cause: 'only a queued or running operation has limits',
    next: 'bkp config set backup.limit.upload 10MB applies to operations that are started later',
  });
}

export function unfinished(operation: Operation): BkpError {
  const id = operationId(operation);
  assert(operation.state.name !== 'done', `${id} is done, but could not be forgotten`);
  return new BkpError(
    'PRECONDITION',
    `${kindNoun(operation.kind)} with id ${operation.number} hasn't been finished yet`,
    {next: `bkp operation wait ${id} waits for its end, bkp operation cancel ${id} ends it`},
  );
}
