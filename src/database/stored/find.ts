import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Instance, listInstances} from './instance.ts';
import {type DatabaseBackup, readDatabaseBackup} from './manifest.ts';
import {backupMicros, type DatabaseBackupName, requireInstanceName} from './names.ts';

/**
 * Finds the backup with exactly the timestamp `at`, else the newest one that contains nothing committed after
 * `at`. A backup's timestamp is the time of its statement; the database is frozen a little later.
 * @param wanted.at microseconds since 1970; absent: the newest of all
 * @param wanted.instance optional if the store has only one
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` (several instances), and what reading the manifest throws
 */
export async function findDatabaseBackup(
  vault: VaultReader,
  wanted: {instance?: string | undefined; at?: number | undefined},
): Promise<DatabaseBackup> {
  const instance = pickInstance(vault, await listInstances(vault), wanted.instance, {
    severalNext: (first) => `name the one to restore: bkp restore --root PLACE --instance ${first}`,
  });
  const {name, backups} = instance;
  const {at} = wanted;
  const named = at === undefined ? backups.at(-1) : backups.find((backup) => backupMicros(backup) === at);
  if (named !== undefined) return readDatabaseBackup(vault, name, named);
  let oldestMicros: number | undefined;
  // By the frozen time of each: a name can be later than that, if it had to follow a backup whose clock was ahead.
  for (const backup of at === undefined ? [] : backups.toReversed()) {
    const read = await readDatabaseBackup(vault, name, backup);
    if (read.body.takenAtMicros <= at!) return read;
    if (backupMicros(backup) <= at!) oldestMicros = read.body.takenAtMicros;
  }
  throw notFound(instance, {at, oldestMicros});
}

/** @param oldestMicros when the oldest backup was frozen, if only that is too late */
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
        : `the oldest one of ${name} contains what was committed until ${microsText(oldestMicros)}: ` +
          `TO TIMESTAMP '${textOf(oldest)}'`;
  return new BkpError(
    'BACKUP_NOT_FOUND',
    `backup restore error: No backup timestamp found that is <= ${at === undefined ? 'now' : microsText(at)}`,
    {next, context: {instance: name}},
  );
}

/**
 * @param wanted absent: the only one with backups
 * @param words.severalNext the next step if there are several
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST`
 */
export function pickInstance(
  vault: VaultReader,
  instances: readonly Instance[],
  wanted: string | undefined,
  {severalNext}: {severalNext: (first: string) => string},
): Instance {
  // An instance without backups cannot be restored: its first backup has not ended, or all were removed.
  const usable = instances.filter(({backups}) => backups.length > 0);
  const names = usable.map(({name}) => name).join(', ');
  if (wanted !== undefined) {
    requireInstanceName(wanted);
    const found = instances.find(({name}) => name === wanted);
    if (found !== undefined) return found;
    throw new BkpError('BACKUP_NOT_FOUND', `${vault.location} has no backups of instance ${wanted}`, {
      next: usable.length === 0 ? 'BACKUP DATABASE takes one' : `it has backups of ${names}`,
    });
  }
  if (usable.length === 1) return usable[0]!;
  if (usable.length === 0) {
    throw new BkpError('BACKUP_NOT_FOUND', `${vault.location} has no database backups`, {
      next: 'BACKUP DATABASE takes one; check which store is named',
    });
  }
  throw new BkpError('BAD_REQUEST', `${vault.location} has backups of several databases: ${names}`, {
    next: severalNext(usable[0]!.name),
  });
}
