import {goneError, unlessUnreadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {isLatest, microsOf} from '../../lib/time.ts';
import {quoteName} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type BackupBody, readBackup, takenAtMs} from './manifest.ts';
import {type BackupName, collectionPrefix, findByName, isBackupName, nameMs} from './names.ts';

/** A time as a backup of a database takes it, see {@link microsOf}. @returns milliseconds since 1970 */
export function parseTime(text: string): number | undefined {
  const micros = microsOf(text.trim());
  return micros === undefined ? undefined : micros / 1000;
}

/**
 * The backup that a user means: by its name, by the time part of its name, the newest one that has no row of after a
 * time, or (without `point`, or with `latest`) the newest.
 * @param backups sorted, oldest first
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` if there are no backups | `STORE_REFUSED` if it is gone, and an
 *   older one is not meant
 */
export async function findBackup(
  vault: VaultReader,
  {collection, backups, point}: {collection: string; backups: readonly BackupName[]; point: string | undefined},
): Promise<BackupName> {
  if (point === undefined || isLatest(point)) {
    requireNotGone(vault, collection, Number.POSITIVE_INFINITY);
    const newest = backups.at(-1);
    if (newest !== undefined) return newest;
    throw new BkpError('BAD_REQUEST', `Nothing to restore: collection ${collection} has no backups`, {
      next: `BACKUP ${quoteName(collection)}`,
    });
  }
  const found = findByName(backups, point);
  if (found !== undefined) return found;
  const atMs = parseTime(point);
  if (atMs !== undefined) {
    requireNotGone(vault, collection, atMs);
    for (const backup of backups.toReversed()) {
      const read = await unlessUnreadable(readBackup(vault, collection, backup));
      if (read === undefined ? nameMs(backup) <= atMs : isMeant(read.body, atMs)) return backup;
    }
  }
  const which = atMs === undefined ? point : `at or before ${point}`;
  // INCREMENTAL OR FULL may take the other type than the statement announced.
  const ofItsTime = findByName(backups, point.split('_')[0]!);
  throw new BkpError('BACKUP_NOT_FOUND', `collection ${collection} has no backup ${which}`, {
    next: ofItsTime
      ? `did you mean ${ofItsTime}?`
      : atMs === undefined
        ? `SHOW BACKUPS IN ${quoteName(collection)}; AT also takes a time as '2026-11-21T12:30:00Z' or '-1 day'`
        : `SHOW BACKUPS IN ${quoteName(collection)}`,
  });
}

/**
 * Whether a time means this backup or a newer one: the time that users see of it, or one at which its snapshot was
 * open. Its statement may have waited before that, while rows were written that the user wants to be rid of.
 */
const isMeant = (body: BackupBody, atMs: number): boolean =>
  takenAtMs(body) === atMs || Date.parse(body.takenAt) <= atMs;

/**
 * @param atMs the backup of this time is meant
 * @throws BkpError `STORE_REFUSED` if that was one which is gone
 */
export function requireNotGone(vault: VaultReader, collection: string, atMs: number): void {
  const [gone] = vault.gone(collectionPrefix(collection));
  if (gone === undefined || (isBackupName(gone.backup) && nameMs(gone.backup) > atMs)) return;
  const {left} = gone;
  throw goneError(vault.location, gone, left && `to use the newest one that is left: AT '${left}'`);
}

/**
 * The backup that a user names exactly: by its name, by the time part of it, or by the time as SHOW prints it. For
 * statements that remove something, where "the newest before that time" would be too easy to get wrong.
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` if no backup is named
 */
export function findExactly({
  collection,
  backups,
  point,
}: {
  collection: string;
  backups: readonly BackupName[];
  point: string | undefined;
}): BackupName {
  const name = quoteName(collection);
  if (point === undefined) {
    throw new BkpError('BAD_REQUEST', `the statement names no backup of ${collection}`, {
      next: `add AT '…'; SHOW BACKUPS IN ${name} lists the backups`,
    });
  }
  if (isLatest(point)) {
    throw new BkpError('BAD_REQUEST', `'${point}' does not name one backup exactly`, {
      next: `write the name of the backup; SHOW BACKUPS IN ${name} lists them`,
    });
  }
  const atMs = parseTime(point);
  const found = findByName(backups, point) ?? backups.find((backup) => nameMs(backup) === atMs);
  if (found !== undefined) return found;
  throw new BkpError('BACKUP_NOT_FOUND', `collection ${collection} has no backup with exactly this name: ${point}`, {
    next: `SHOW BACKUPS IN ${name}`,
  });
}
