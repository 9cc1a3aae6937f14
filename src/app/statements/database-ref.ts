import {backupMicros, type DatabaseBackupName, listInstances, pickInstance} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {isLatest, microsText, parseTimestamp, relativeMicros} from '../../lib/time.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {meantInstance} from '../places/own-instance.ts';
import type {Workplace} from '../places/workplace.ts';

export type DatabaseBackupRef = {instance: string; backup: DatabaseBackupName};

/**
 * The backup of a whole database that a user names exactly: by its timestamp, or as `bkp retention plan` prints it,
 * `gentle-forest-orchid/2026-11-21T12:00:00.000000Z`. Without the instance, the one of the profile's source, or the
 * only one in the store.
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` | `USAGE`
 */
export async function databaseBackupRef(
  deps: Pick<Deps, 'settings' | 'env'>,
  {place, vault}: {place: Workplace; vault: Vault},
  written: string,
): Promise<DatabaseBackupRef> {
  const slash = written.indexOf('/');
  const named = slash < 0 ? await meantInstance(deps, place, vault) : written.slice(0, slash);
  const point = written.slice(slash + 1);
  if (isLatest(point) || relativeMicros(point, 0) !== undefined) {
    throw new BkpError('BAD_REQUEST', `'${point}' does not name one backup exactly`, {
      next: 'write its timestamp; SELECT * FROM backups() lists them: start_ts is the timestamp',
    });
  }
  const at = parseTimestamp(point);
  const {name: instance, backups} = pickInstance(vault, await listInstances(vault), named, {
    severalNext: (first) => `name its instance: '${first}/${microsText(at)}'`,
  });
  const backup = backups.find((each) => backupMicros(each) === at);
  if (backup !== undefined) return {instance, backup};
  throw new BkpError('BACKUP_NOT_FOUND', `${instance} has no backup with exactly the timestamp ${microsText(at)}`, {
    next: 'SELECT * FROM backups() lists them: start_ts is the timestamp',
  });
}
