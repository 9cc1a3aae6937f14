import {isInForce, type Pin} from '../../backups/index.ts';
import {type BackupSummary, listBackups, listCollections} from '../../collections/index.ts';
import {microsText} from '../../lib/time.ts';
import {defineView, type View} from '../../query/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {allCollections, membersText, ofEveryVault} from '../places/all-collections.ts';

/** The rows of SHOW BACKUP COLLECTIONS. */
export function collectionsView(deps: Deps): View {
  return defineView(
    {
      name: 'VARCHAR',
      storage: 'VARCHAR',
      backups: 'INT',
      newest: 'VARCHAR',
      stored_bytes: 'LONG',
      tables: 'VARCHAR',
      settings: 'VARCHAR',
      error: 'VARCHAR',
    },
    async () =>
      (await allCollections(deps)).map((collection) => ({
        name: collection.name,
        storage: collection.storage,
        backups: collection.backups,
        newest: collection.newest,
        stored_bytes: collection.storedBytes,
        tables: membersText(collection),
        settings: collection.settings,
        error: collection.error,
      })),
  );
}

/** The rows of SHOW BACKUPS for all collections. */
export function collectionBackupsView(deps: Deps): View {
  return defineView(
    {
      collection: 'VARCHAR',
      storage: 'VARCHAR',
      backup: 'VARCHAR',
      kind: 'VARCHAR',
      taken_at: 'TIMESTAMP',
      tables: 'INT',
      rows: 'LONG',
      deleted: 'LONG',
      logical_bytes: 'LONG',
      added_bytes: 'LONG',
      restore_bytes: 'LONG',
      verified: 'TIMESTAMP',
      pinned: 'BOOLEAN',
      pinned_until: 'TIMESTAMP',
      pin_reason: 'VARCHAR',
      error: 'VARCHAR',
    },
    () =>
      ofEveryVault(deps, async (vault, {storage}) =>
        (await backupsOfAll(vault)).map(({collection, backup, error}) => ({
          collection,
          storage,
          backup: backup?.name,
          kind: backup?.type,
          taken_at: backup === undefined ? undefined : microsText(Date.parse(backup.takenAt) * 1000),
          tables: backup?.tables,
          rows: backup?.rows,
          deleted: backup?.deletedRows,
          logical_bytes: backup?.logicalBytes,
          added_bytes: backup?.addedBytes,
          restore_bytes: backup?.restoreBytes,
          verified: backup?.verifiedAt === undefined ? undefined : microsText(Date.parse(backup.verifiedAt) * 1000),
          ...pinColumns(backup?.pin, deps.nowMicros() / 1000),
          error,
        })),
      ),
  );
}

function pinColumns(pin: Pin | undefined, nowMs: number) {
  if (pin === undefined || !isInForce(pin, nowMs))
    return {pinned: false, pinned_until: undefined, pin_reason: undefined};
  const {until, reason} = pin;
  const ends = until === undefined ? undefined : microsText(Date.parse(until) * 1000);
  return {pinned: true, pinned_until: ends, pin_reason: reason};
}

type Found = {collection: string; backup?: BackupSummary; error?: string | undefined};

/** An unreadable collection has a row with its error and without a backup, so that nothing is missing silently. */
async function backupsOfAll(vault: Vault): Promise<Found[]> {
  const found: Found[] = [];
  for (const {name: collection, error} of await listCollections(vault)) {
    if (error !== undefined) found.push({collection, error});
    else
      for (const backup of await listBackups(vault, collection)) found.push({collection, backup, error: backup.error});
  }
  return found;
}
