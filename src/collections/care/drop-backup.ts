import {type Removal, removeBackup, requireUnread} from '../../backups/index.ts';
import type {VaultCollector, VaultReader} from '../../vault/index.ts';
import {findExactly} from '../stored/find.ts';
import {
  type CollectionFolder,
  isLiving,
  type ReadableCollection,
  readFolder,
  requireReadable,
} from '../stored/folder.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';
import {requireUnpinned} from '../stored/pinned.ts';

export type DropBackupOptions = {
  nowMs: number;
  /** @returns the id of an operation that is reading the backup */
  readerOf: (backup: BackupName) => string | undefined;
};

export type DropBackupPlan = {
  backup: BackupName;
  removal: Removal;
  /** What the user should know: what the next backup must be, or that none is left. */
  notices: readonly string[];
};

/**
 * Refuses what can be refused before any work starts; nothing is written. A backup that cannot be read can be dropped.
 * @param point must name the backup exactly
 * @throws BkpError `COLLECTION_NOT_FOUND` | `BACKUP_NOT_FOUND` | `BAD_REQUEST` | `PRECONDITION` (pinned, or being read)
 */
export async function planDropBackup(
  vault: VaultReader,
  {collection, point, ...options}: {collection: string; point: string | undefined} & DropBackupOptions,
): Promise<DropBackupPlan> {
  const live = await requireReadable(vault, collection);
  const backup = findExactly({collection, backups: live.backups, point});
  requireDroppable(live, {collection, backup, ...options});
  return {backup, removal: removalOf(collection, live, backup), notices: noticesFor(live, backup)};
}

/**
 * Removes one backup under the exclusive lease. The other backups stay complete, because each manifest names everything
 * that its restore needs.
 * @throws BkpError `COLLECTION_NOT_FOUND` | `BACKUP_NOT_FOUND` | `PRECONDITION` (pinned, being read, or locked)
 */
export async function dropBackup(
  vault: VaultReader,
  collector: VaultCollector,
  {collection, backup, ...options}: {collection: string; backup: BackupName} & DropBackupOptions,
): Promise<void> {
  const live = await requireReadable(vault, collection);
  requireDroppable(live, {
    ...options,
    collection,
    backup: findExactly({collection, backups: live.backups, point: backup}),
  });
  await removeBackup(collector, manifestKey(collection, backup), `${collection}/${backup}`);
}

/**
 * What DROP BACKUP COLLECTION removes, oldest first; undefined if there is no such collection.
 * @throws BkpError `PRECONDITION` if a backup is pinned
 */
export async function planDropCollection(
  vault: VaultReader,
  {name, nowMs}: {name: string; nowMs: number},
): Promise<readonly Removal[] | undefined> {
  const folder = await readFolder(vault, name);
  if (!isLiving(folder)) return undefined;
  requireUnpinned(folder.pins, {collection: name, what: `${name} was not dropped`, nowMs});
  return folder.backups.map((backup) => removalOf(name, folder, backup));
}

function removalOf(
  collection: string,
  {pinObjects}: Pick<CollectionFolder, 'pinObjects'>,
  backup: BackupName,
): Removal {
  const pins = pinObjects.filter((object) => object.backup === backup).map(({key}) => key);
  return {label: `${collection}/${backup}`, keys: [manifestKey(collection, backup), ...pins]};
}

function requireDroppable(
  {pins}: ReadableCollection,
  {collection, backup, nowMs, readerOf}: {collection: string; backup: BackupName} & DropBackupOptions,
): void {
  const pin = pins.get(backup);
  const own = new Map(pin === undefined ? [] : [[backup, pin]]);
  requireUnpinned(own, {collection, what: 'the backup was not dropped', nowMs});
  requireUnread(`${collection}/${backup}`, readerOf(backup));
}

function noticesFor({definition, backups}: ReadableCollection, backup: BackupName): readonly string[] {
  if (backups.at(-1) !== backup) return [];
  const left = backups.at(-2);
  const newest = left === undefined ? 'no backup is left then' : `${left} is the newest one then`;
  if (!definition?.settings.incremental) return [newest];
  // The source's change log begins at the newest backup.
  return [`${newest}; the next backup must be a full one`];
}
