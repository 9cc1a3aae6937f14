import {type Operation, operationId} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {withFileSource, withSource} from '../places/source-places.ts';

import {removeScratch} from './scratch.ts';
import {orderOf} from './work-order.ts';

/**
 * Removes what a dead worker may have left outside the vault. The first command that finds the worker dead calls this.
 * @throws BkpError when the source cannot be reached; the leftover then only takes up space
 */
export async function cleanAfter(deps: Pick<Deps, 'settings'>, operation: Operation): Promise<void> {
  const order = orderOf(operation);
  const {createdAtMicros} = operation;
  if (order?.do === 'dbbackup')
    await withFileSource(deps, order.place, (source) =>
      source.releaseLeftover(createdAtMicros, operationId(operation)),
    );
  if (order?.do === 'drill' || order?.do === 'compare') removeScratch(order.folder);
  if (order?.do === 'restore') {
    await withSource(deps, order.place, async (source) => {
      await source.discardStaging(order.stagingId);
      // Opening the database rolls back a publication that was interrupted, so that the application need not do it.
      await source.identity();
    });
  }
}
