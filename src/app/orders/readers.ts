import type {BackupName} from '../../collections/index.ts';
import {backupMicros, type DatabaseBackupName} from '../../database/index.ts';
import {operationId} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {orderOf} from './work-order.ts';

/**
 * Finds the open operation of this home that reads a backup of the collection. Readers hold no lease, so a
 * removal could delete a backup while it is read. Readers of other homes are not seen; their operation then
 * fails and reports the missing backup.
 */
export async function readersIn(
  deps: Pick<Deps, 'journal'>,
  at: {collection: string; vault: string | undefined},
): Promise<(backup: BackupName) => string | undefined> {
  const journal = await deps.journal();
  const readers = (await journal.open()).flatMap((operation) => {
    const order = orderOf(operation);
    const reads =
      order?.do === 'restore' ||
      order?.do === 'verify' ||
      order?.do === 'copy' ||
      order?.do === 'drill' ||
      order?.do === 'compare';
    if (!reads || order.collection !== at.collection || order.place.vault !== at.vault) return [];
    // An order without a backup reads all of them.
    return [{id: operationId(operation), backup: order.backup}];
  });
  return (backup) => readers.find((reader) => reader.backup === undefined || reader.backup === backup)?.id;
}

/** The same for a backup of a whole database. */
export async function databaseReaderIn(
  deps: Pick<Deps, 'journal'>,
  {instance, backup, vault}: {instance: string; backup: DatabaseBackupName; vault: string | undefined},
): Promise<string | undefined> {
  const journal = await deps.journal();
  const reader = (await journal.open()).find((operation) => {
    const order = orderOf(operation);
    if (order?.place.vault !== vault) return false;
    if (order?.do === 'dbrestore')
      return order.request.instance === instance && order.request.at === backupMicros(backup);
    if (order?.do !== 'dbverify' && order?.do !== 'dbdrill') return false;
    return (order.instance ?? instance) === instance && (order.backup ?? backup) === backup;
  });
  return reader && operationId(reader);
}
