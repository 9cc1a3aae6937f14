import {BkpError} from '../../errors/index.ts';
import {isSameSubject, type Operation, operationId, type Subject} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {collectionSubject} from './start.ts';

/** Called before source and vault are opened: a running operation is reported before any other fault. */
export async function refuseWhenBusy(deps: Deps, collection: string): Promise<void> {
  const running = await openOn(deps, collectionSubject(collection));
  if (running === undefined) return;
  throw new BkpError('BUSY', `operation ${operationId(running)} on collection ${collection} is still running`, {
    cause: `one operation at a time changes a collection; this one began with ${running.statement}`,
    next: waitOrCancel(running),
  });
}

export async function refuseDropWhenBusy(deps: Deps, collection: string): Promise<void> {
  const running = await openOn(deps, collectionSubject(collection));
  if (running === undefined) return;
  throw new BkpError(
    'PRECONDITION',
    'Cannot drop backup collection while backup or restore operations are active. Please wait for them to complete.',
    {cause: `${operationId(running)} (${running.statement}) is not done`, next: waitOrCancel(running)},
  );
}

/** As {@link refuseWhenBusy}, for what is done to all of a store. */
export async function refuseStoreWhenBusy(deps: Deps, subject: Subject & {kind: 'store'}): Promise<void> {
  const running = await openOn(deps, subject);
  if (running === undefined) return;
  throw new BkpError('BUSY', `operation ${operationId(running)} on ${subject.name} is still running`, {
    cause: `it began with ${running.statement}`,
    next: waitOrCancel(running),
  });
}

/** The open operation that changes the subject, if there is one. */
export async function openOn(deps: Deps, subject: Subject): Promise<Operation | undefined> {
  const journal = await deps.journal();
  return (await journal.open()).find((operation) => !operation.shared && isSameSubject(operation.subject, subject));
}

function waitOrCancel(running: Operation): string {
  return `bkp operation wait ${operationId(running)}, or bkp operation cancel ${operationId(running)}`;
}
