import {
  freeSpace,
  isInForce,
  pinUntil,
  type Removal,
  removeBackup,
  removeEndedPins,
  removeOrphanReports,
  type WorkTools,
  waitForCollector,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import type {Vault, VaultReader} from '../../vault/index.ts';
import {listInstances} from '../stored/instance.ts';
import {backupMicros, backupPrefix, type DatabaseBackupName, databaseManifestKey} from '../stored/names.ts';

type Backup = {instance: string; backup: DatabaseBackupName};

/** @throws BkpError `BACKUP_NOT_FOUND` | `PRECONDITION` if the backup is pinned */
export async function planDropDatabaseBackup(
  vault: VaultReader,
  {instance, backup, nowMs}: Backup & {nowMs: number},
): Promise<Removal> {
  const found = (await listInstances(vault)).find(({name}) => name === instance);
  const label = `${instance}/${microsText(backupMicros(backup))}`;
  if (found === undefined || !found.backups.includes(backup)) {
    throw new BkpError('BACKUP_NOT_FOUND', `backup ${label} no longer exists`, {
      next: 'SELECT * FROM backups() lists the existing ones',
    });
  }
  const pin = found.pins.get(backup);
  if (pin === undefined || !isInForce(pin, nowMs)) {
    const pins = found.pinObjects.filter((object) => object.backup === backup).map(({key}) => key);
    return {label, keys: [databaseManifestKey(instance, backup), ...pins]};
  }
  throw new BkpError('PRECONDITION', `the backup was not dropped: ${label} is pinned`, {
    cause: `it is ${pinUntil(pin)}`,
    next: `UNPIN DATABASE BACKUP '${label}'`,
  });
}

/**
 * Removes one backup of a database, then the data that no manifest needs any more. It waits for running backups to end.
 * The other backups stay complete.
 * @throws BkpError `BACKUP_NOT_FOUND` | `PRECONDITION` (pinned, or locked)
 */
export async function dropDatabaseBackup(
  tools: WorkTools & {vault: Vault},
  {instance, backup}: Backup,
  operation: string,
): Promise<{freedBytes: number}> {
  const {vault} = tools;
  const nowMs = tools.nowMicros() / 1000;
  const collector = await waitForCollector(tools, operation);
  try {
    const {label} = await planDropDatabaseBackup(vault, {instance, backup, nowMs});
    await removeBackup(collector, databaseManifestKey(instance, backup), label);
    for (const each of await listInstances(vault)) await removeEndedPins(collector, each, nowMs);
    await removeOrphanReports(vault, collector, backupPrefix);
    return {freedBytes: await freeSpace(tools, collector, 1)};
  } finally {
    await collector.close();
  }
}
