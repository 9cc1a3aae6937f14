import {type Operation, operationId} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {withFileSource, withSource} from '../places/source-places.ts';

import {removeScratch, scratchId} from './scratch.ts';
import {orderOf} from './work-order.ts';

/**
 * Removes what a dead worker may have left outside the vault. The first command that finds the worker dead calls this.
 * @returns what the user should know about what is kept, undefined if nothing is
 * @throws BkpError when the source cannot be reached; the leftover then only takes up space
 */
export async function cleanAfter(
  deps: Pick<Deps, 'settings' | 'env'>,
  operation: Operation,
): Promise<string | undefined> {
  const order = orderOf(operation);
  const {createdAtMicros} = operation;
  if (order?.do === 'dbbackup')
    await withFileSource(deps, order.place, (source) =>
      source.releaseLeftover(createdAtMicros, operationId(operation)),
    );
  if (order?.do === 'dbdrill') await (await import('../../sources/index.ts')).endLeftover(order.product, order.folder);
  if (order?.do === 'drill' || order?.do === 'compare' || order?.do === 'dbdrill') removeScratch(order.folder);
  if ((order?.do === 'drill' || order?.do === 'compare') && order.onServer) {
    await withSource(deps, order.place, async (source) => source.scratch?.remove(scratchId(order.folder)));
  }
  if (order?.do !== 'restore') return undefined;
  // A user who has cancelled does not want to continue.
  const isCancelled = operation.state.name === 'done' && operation.state.outcome.status === 'CANCELLED';
  return withSource(deps, order.place, async (source) => {
    const isKept = await source.discardStaging(order.stagingId, {unlessContinuable: !isCancelled});
    // Opening the database rolls back a publication that was interrupted, so that the application need not do it.
    await source.identity();
    return isKept ? keptNotice(operation) : undefined;
  });
}

/** What a user should know when a restore was interrupted that the same statement continues. */
export function keptNotice(operation: Pick<Operation, 'kind' | 'number'>): string {
  return (
    'what was loaded is kept beside the database: the same statement continues there; ' +
    `bkp operation forget ${operationId(operation)} removes it`
  );
}

/** Removes what an interrupted restore left to be continued. */
export async function forgetLeftover(deps: Pick<Deps, 'settings' | 'env'>, operation: Operation): Promise<void> {
  const order = orderOf(operation);
  if (order?.do !== 'restore') return;
  await withSource(deps, order.place, (source) => source.discardStaging(order.stagingId));
}
