import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Instance, listInstances} from './instance.ts';
import {type DatabaseBackup, readDatabaseBackup} from './manifest.ts';
import {backupMicros, type DatabaseBackupName, requireInstanceName} from './names.ts';

/**
 * The newest backup whose timestamp is at or before a moment, and that holds nothing which was committed after it; or, for a
 * backup's own timestamp, that backup. A backup's timestamp is when its statement was given, and its moment comes a little later.
 * @param wanted.at microseconds since 1970; absent: the newest of all
 * @param wanted.instance may be left away when the store holds one only
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` (several instances) | `OBJECT_DAMAGED` and so on (its manifest)
 */
export async function findDatabaseBackup(
  vault: VaultReader,
  wanted: {instance?: string; at?: number},
): Promise<DatabaseBackup> {
  const instance = chooseInstance(vault, await listInstances(vault), wanted.instance);
  const {name, backups} = instance;
  const {at} = wanted;
  const named = at === undefined ? backups.at(-1) : backups.find((backup) => backupMicros(backup) === at);
  if (named !== undefined) return readDatabaseBackup(vault, name, named);
  let oldestMicros: number | undefined;
  // All of them, by their moments: a name is later than its moment where an earlier backup's clock was ahead.
  for (const backup of at === undefined ? [] : backups.toReversed()) {
    const read = await readDatabaseBackup(vault, name, backup);
    if (read.body.takenAtMicros <= at!) return read;
    if (backupMicros(backup) <= at!) oldestMicros = read.body.takenAtMicros;
  }
  throw notFound(instance, {at, oldestMicros});
}

/** @param oldestMicros the moment of the oldest backup, where that alone is in the way */
function notFound(
  {name, backups}: Instance,
  {at, oldestMicros}: {at: number | undefined; oldestMicros: number | undefined},
): BkpError {
  const [oldest, newest] = [backups[0], backups.at(-1)];
  const textOf = (backup: DatabaseBackupName) => microsText(backupMicros(backup));
  const next =
    oldest === undefined || newest === undefined
      ? `instance ${name} has no backups`
      : oldestMicros === undefined
        ? `the backups of ${name} are from ${textOf(oldest)} to ${textOf(newest)}`
        : `the oldest one of ${name} holds what was committed until ${microsText(oldestMicros)}: TO TIMESTAMP '${textOf(oldest)}'`;
  return new BkpError(
    'BACKUP_NOT_FOUND',
    `backup restore error: No backup timestamp found that is <= ${at === undefined ? 'now' : microsText(at)}`,
    {next, context: {instance: name}},
  );
}

function chooseInstance(vault: VaultReader, instances: readonly Instance[], wanted: string | undefined): Instance {
  // One without a backup is nothing to restore: its first backup has not ended, or all were removed.
  const usable = instances.filter(({backups}) => backups.length > 0);
  const names = usable.map(({name}) => name).join(', ');
  if (wanted !== undefined) {
    requireInstanceName(wanted);
    const found = instances.find(({name}) => name === wanted);
    if (found !== undefined) return found;
    throw new BkpError('BACKUP_NOT_FOUND', `${vault.location} holds no backups of instance ${wanted}`, {
      next: usable.length === 0 ? 'BACKUP DATABASE takes one' : `it holds backups of ${names}`,
    });
  }
  if (usable.length === 1) return usable[0]!;
  if (usable.length === 0) {
    throw new BkpError('BACKUP_NOT_FOUND', `${vault.location} holds no database backups`, {
      next: 'BACKUP DATABASE takes one; check the store that is named',
    });
  }
  throw new BkpError('BAD_REQUEST', `${vault.location} holds backups of several databases: ${names}`, {
    next: `name the one that is meant: bkp restore --root PLACE --instance ${usable[0]!.name}`,
  });
}
