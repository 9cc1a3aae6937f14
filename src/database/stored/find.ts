import {goneError} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Instance, listInstances} from './instance.ts';
import {type DatabaseBackup, readDatabaseBackup} from './manifest.ts';
import {
  backupMicros,
  backupPrefix,
  type DatabaseBackupName,
  instancePrefix,
  isDatabaseBackupName,
  requireInstanceName,
} from './names.ts';

/**
 * Finds the backup with exactly the timestamp `at`, else the newest one that contains nothing committed after
 * `at`. A backup's timestamp is the time of its statement; the database is frozen a little later.
 * @param wanted.at microseconds since 1970; absent: the newest of all
 * @param wanted.instance optional if the store has only one
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` (several instances) | `STORE_REFUSED` (it is gone, and an older
 *   one is not meant), and what reading the manifest throws
 */
export async function findDatabaseBackup(
  vault: VaultReader,
  wanted: {instance?: string | undefined; at?: number | undefined},
): Promise<DatabaseBackup> {
  const instances = await listInstances(vault);
  if (wanted.instance === undefined) requireAllThere(vault, instances);
  const instance = pickInstance(vault, instances, wanted.instance, {
    severalNext: (first) => `name the one to restore: bkp restore --root PLACE --instance ${first}`,
  });
  const {name, backups} = instance;
  const {at} = wanted;
  const exact = at === undefined ? undefined : backups.find((backup) => backupMicros(backup) === at);
  if (exact === undefined) requireNotGone(vault, name, at);
  const named = at === undefined ? backups.at(-1) : exact;
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

/** What seems to be the only database in the store may not be the one that is meant. */
function requireAllThere(vault: VaultReader, instances: readonly Instance[]): void {
  const usable = instances.filter(({backups}) => backups.length > 0).map(({name}) => name);
  const gone = vault.gone(backupPrefix).find(({folder}) => !usable.some((name) => instancePrefix(name) === folder));
  if (gone === undefined) return;
  const [first] = usable;
  throw goneError(vault.location, gone, first && `to use the backups of another one: --instance ${first}`);
}

/** @param at absent: the newest backup is meant */
function requireNotGone(vault: VaultReader, instance: string, at: number | undefined): void {
  const [gone] = vault.gone(instancePrefix(instance));
  if (gone === undefined) return;
  const {backup, left} = gone;
  if (at !== undefined && isDatabaseBackupName(backup) && backupMicros(backup) > at) return;
  const isLeft = left !== undefined && isDatabaseBackupName(left);
  const timestamp = isLeft ? microsText(backupMicros(left)) : undefined;
  throw goneError(vault.location, gone, timestamp && `to use the newest one that is left: TO TIMESTAMP '${timestamp}'`);
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
        ? oldest === newest
          ? `${name} has one backup: AT '${textOf(newest)}'`
          : `the backups of ${name} are from ${textOf(oldest)} to ${textOf(newest)}`
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
