import {
  commitPin,
  manifestOrPinned,
  nextPinGeneration,
  type Pin,
  type PinObject,
  putUnpinned,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Vault, VaultWriter} from '../../vault/index.ts';
import {listInstances} from '../stored/instance.ts';
import {readDatabaseBackup} from '../stored/manifest.ts';
import {type DatabaseBackupName, databaseManifestKey, instancePrefix} from '../stored/names.ts';

export type DatabasePinTools = {vault: Vault; nowMicros: () => number};
type Backup = {instance: string; backup: DatabaseBackupName};

/**
 * Pins a backup, also if it is pinned: the new pin then replaces the old one. When it resolves, no cleanup of any host
 * removes the backup or anything that it needs until the pin ends.
 * @param request.until ISO time; absent: until UNPIN
 * @throws BkpError `BACKUP_NOT_FOUND` | `OBJECT_MISSING` | `OBJECT_DAMAGED` | `VAULT_LOCKED`
 */
export async function pinDatabaseBackup(
  tools: DatabasePinTools,
  request: Backup & {until?: string | undefined; reason?: string | undefined},
): Promise<void> {
  const {vault} = tools;
  const {instance, backup, until, reason} = request;
  await change(tools, request, async (writer, {objects}) => {
    // Also refuses what this bkp cannot restore.
    await readDatabaseBackup(vault, instance, backup);
    await commitPin(writer, instancePrefix(instance), {
      ...{backup, generation: nextPinGeneration(objects, writer), pinnedAt: isoNow(tools)},
      ...(until === undefined ? {} : {until}),
      ...(reason === undefined ? {} : {reason}),
      manifest: await manifestOrPinned(vault, databaseManifestKey(instance, backup)),
      label: `${instance}/${backup}`,
    });
  });
}

/** Ends the pin of a backup. @returns the pin; undefined if it had none */
export function unpinDatabaseBackup(tools: DatabasePinTools, request: Backup): Promise<Pin | undefined> {
  const {instance, backup} = request;
  return change(tools, request, async (writer, {objects, pin}) => {
    if (pin === undefined) return undefined;
    const generation = nextPinGeneration(objects, writer);
    const label = `${instance}/${backup}`;
    await putUnpinned(writer, instancePrefix(instance), {backup, generation, at: isoNow(tools), label});
    return pin;
  });
}

/** Runs `act` as the only process that changes pins of the instance; a backup may run at the same time. */
async function change<T>(
  {vault}: DatabasePinTools,
  {instance, backup}: Backup,
  act: (writer: VaultWriter, found: {objects: readonly PinObject[]; pin: Pin | undefined}) => Promise<T>,
): Promise<T> {
  const writer = await vault.writer({purpose: `a pin of ${instance}`, subject: `pins of instance ${instance}`});
  try {
    const found = (await listInstances(vault)).find(({name}) => name === instance);
    if (found === undefined || !found.backups.includes(backup)) {
      throw new BkpError('BACKUP_NOT_FOUND', `backup ${instance}/${backup} no longer exists`, {
        next: 'SELECT * FROM backups() lists the existing ones',
      });
    }
    const objects = found.pinObjects.filter((object) => object.backup === backup);
    return await act(writer, {objects, pin: found.pins.get(backup)});
  } finally {
    await writer.close();
  }
}

const isoNow = ({nowMicros}: DatabasePinTools) => new Date(nowMicros() / 1000).toISOString();
