import type {BackupName} from '../../collections/index.ts';
import {operationId} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {orderOf} from './work-order.ts';

/**
 * Which open operation of this home reads a backup of the collection: readers hold no lease, so a removal would take their
 * backup from under them. Those of other homes are not seen; their operation then fails, and tells what is missing.
 */
export async function readersIn(
  deps: Pick<Deps, 'journal'>,
  at: {collection: string; vault: string | undefined},
): Promise<(backup: BackupName) => string | undefined> {
  const journal = await deps.journal();
  const readers = (await journal.open()).flatMap((operation) => {
    const order = orderOf(operation);
    const reads = order?.do === 'restore' || order?.do === 'verify' || order?.do === 'copy';
    if (!reads || order.collection !== at.collection || order.place.vault !== at.vault) return [];
    // Without a backup: all of them.
    return [{id: operationId(operation), backup: order.backup}];
  });
  return (backup) => readers.find((reader) => reader.backup === undefined || reader.backup === backup)?.id;
}
