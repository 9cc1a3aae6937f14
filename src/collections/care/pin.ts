import {
  commitPin,
  manifestOrPinned,
  nextPinGeneration,
  type Pin,
  type PinObject,
  putUnpinned,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {Vault, VaultWriter} from '../../vault/index.ts';
import {findBackup, findExactly} from '../stored/find.ts';
import {isLiving, noSuchCollection, readFolder} from '../stored/folder.ts';
import {readBackup} from '../stored/manifest.ts';
import {type BackupName, collectionPrefix, manifestKey} from '../stored/names.ts';
import {pinSubject} from '../stored/pinned.ts';

export type PinTools = {vault: Vault; nowMicros: () => number};
export type PinRequest = {
  collection: string;
  /** As `findBackup` takes it; absent: the newest backup. */
  point: string | undefined;
  /** ISO time; absent: until UNPIN. */
  until?: string | undefined;
  reason?: string | undefined;
};

/**
 * Pins a backup, also if it is pinned: the new pin then replaces the old one. When it resolves, no cleanup of any host
 * removes the backup or anything that it needs until the pin ends.
 * @throws BkpError `COLLECTION_NOT_FOUND` | `BACKUP_NOT_FOUND` | `OBJECT_MISSING` | `OBJECT_DAMAGED` | `VAULT_LOCKED`
 */
export async function pinBackup(tools: PinTools, request: PinRequest): Promise<{backup: BackupName}> {
  const {vault} = tools;
  const {collection, until, reason} = request;
  return change(tools, request, findBackup, async (writer, {backup, objects}) => {
    // Also refuses what this bkp cannot restore.
    await readBackup(vault, collection, backup);
    await commitPin(writer, collectionPrefix(collection), {
      ...{backup, generation: nextPinGeneration(objects, writer), pinnedAt: isoNow(tools)},
      ...(until === undefined ? {} : {until}),
      ...(reason === undefined ? {} : {reason}),
      manifest: await manifestOrPinned(vault, manifestKey(collection, backup)),
      label: `${collection}/${backup}`,
    });
    return {backup};
  });
}

/** Ends the pin of a backup. @returns the pin; undefined if it had none */
export async function unpinBackup(
  tools: PinTools,
  request: Pick<PinRequest, 'collection' | 'point'>,
): Promise<{backup: BackupName; pin: Pin | undefined}> {
  const {collection} = request;
  const exactly: typeof findBackup = async (_, wanted) => findExactly(wanted);
  return change(tools, request, exactly, async (writer, {backup, objects, pin}) => {
    if (pin === undefined) return {backup, pin};
    const generation = nextPinGeneration(objects, writer);
    const label = `${collection}/${backup}`;
    await putUnpinned(writer, collectionPrefix(collection), {backup, generation, at: isoNow(tools), label});
    return {backup, pin};
  });
}

type Found = {backup: BackupName; objects: readonly PinObject[]; pin: Pin | undefined};

/** Runs `act` as the only process that changes pins of the collection. */
async function change<T>(
  {vault}: PinTools,
  {collection, point}: Pick<PinRequest, 'collection' | 'point'>,
  findIn: typeof findBackup,
  act: (writer: VaultWriter, found: Found) => Promise<T>,
): Promise<T> {
  // Checked before taking the lease, so that a vault without this backup is not written to.
  await find();
  const writer = await vault.writer({purpose: `a pin of collection ${collection}`, subject: pinSubject(collection)});
  try {
    return await act(writer, await find());
  } finally {
    await writer.close();
  }

  async function find(): Promise<Found> {
    const folder = await readFolder(vault, collection);
    if (!isLiving(folder)) throw noSuchCollection(collection);
    const {backups, pinObjects, pins} = folder;
    if (backups.length === 0) {
      throw new BkpError('BACKUP_NOT_FOUND', `collection ${collection} has no backups`, {
        next: `BACKUP ${quoteName(collection)}`,
      });
    }
    const backup = await findIn(vault, {collection, backups, point});
    return {backup, objects: pinObjects.filter((object) => object.backup === backup), pin: pins.get(backup)};
  }
}

const isoNow = ({nowMicros}: PinTools) => new Date(nowMicros() / 1000).toISOString();
