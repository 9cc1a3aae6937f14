import {backupMicros, type DatabaseBackup, findDatabaseBackup} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText, parseMoment} from '../../lib/time.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {meantInstance} from '../places/own-instance.ts';
import type {Workplace} from '../places/workplace.ts';
import {databaseBackupRef} from './database-ref.ts';

export type MomentWish = {
  /** Absent: the one of the profile's source, or the only one in the store. */
  instance?: string | undefined;
  /** As typed: a time, `latest`, or one backup as `bkp retention plan` prints it. Absent: the newest. */
  timestamp?: string | undefined;
};

/**
 * The backup of a whole database that a statement names after AT.
 * @returns `notice` if the time is neither the timestamp nor the moment of a backup, perhaps because it was mistyped
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` | `USAGE`
 */
export async function backupAt(
  deps: Pick<Deps, 'settings' | 'env' | 'nowMicros'>,
  at: {place: Workplace; vault: Vault},
  {instance, timestamp}: MomentWish,
): Promise<{found: DatabaseBackup; notice: string | undefined}> {
  if (timestamp?.includes('/')) {
    const named = await databaseBackupRef(deps, at, timestamp);
    requireOne(instance, named.instance);
    const wanted = {instance: named.instance, at: backupMicros(named.backup)};
    return {found: await findDatabaseBackup(at.vault, wanted), notice: undefined};
  }
  const micros = timestamp === undefined ? undefined : parseMoment(timestamp, deps.nowMicros());
  const meant = instance ?? (await meantInstance(deps, at.place, at.vault));
  const found = await findDatabaseBackup(at.vault, {instance: meant, at: micros});
  return {found, notice: micros === undefined ? undefined : olderNotice(micros, found)};
}

function requireOne(instance: string | undefined, named: string): void {
  if (instance === undefined || instance === named) return;
  throw new BkpError('BAD_REQUEST', `the backup is one of ${named}, and --instance names ${instance}`, {
    next: 'keep one of the two',
  });
}

function olderNotice(at: number, {body}: DatabaseBackup): string | undefined {
  const micros = backupMicros(body.backup);
  if (micros === at || body.takenAtMicros === at) return undefined;
  const until = `which contains what was committed until ${microsText(body.takenAtMicros)}`;
  return `no backup has the timestamp ${microsText(at)}: the newest one before it is ${microsText(micros)}, ${until}`;
}
