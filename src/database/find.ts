import {BkpError} from '../errors/index.ts';
import {isDamage, type VaultReader} from '../vault/index.ts';
import {type Instance, listInstances} from './instance.ts';
import {type DatabaseBackup, type DatabaseBackupBody, readDatabaseBackup} from './manifest.ts';
import {backupMicros, type DatabaseBackupName, requireInstanceName, timestampText} from './names.ts';

/** One backup in a store. `error`: its manifest cannot be read; `body` is then absent, and the backup does not count as complete. */
export type DatabaseBackupSummary = {
  instance: string;
  backup: DatabaseBackupName;
  /** The backup's timestamp, microseconds since 1970. */
  timestampMicros: number;
  body?: DatabaseBackupBody;
  error?: string;
  /** True when the error is damage: no network and no newer bkp's manifest. */
  isDamaged?: true;
};

/** Oldest first, instance by instance. @param options.instance absent: of all */
export async function listDatabaseBackups(
  vault: VaultReader,
  options: {instance?: string} = {},
): Promise<readonly DatabaseBackupSummary[]> {
  const wanted = (await listInstances(vault)).filter(({name}) => (options.instance ?? name) === name);
  const all = wanted.flatMap(({name, backups}) => backups.map((backup) => ({instance: name, backup})));
  // All at once: the store itself limits how many requests are under way.
  return Promise.all(
    all.map(async ({instance, backup}) => {
      const known = {instance, backup, timestampMicros: backupMicros(backup)};
      try {
        return {...known, body: (await readDatabaseBackup(vault, instance, backup)).body};
      } catch (error) {
        if (!(error instanceof BkpError)) throw error;
        return {...known, error: error.message, ...(isDamage(error) ? {isDamaged: true} : {})};
      }
    }),
  );
}

/**
 * The newest backup at or before a moment.
 * @param wanted.at microseconds since 1970; absent: the newest of all
 * @param wanted.instance may be left away when the store holds one only
 * @throws BkpError `BACKUP_NOT_FOUND` | `BAD_REQUEST` (several instances) | `OBJECT_DAMAGED` and so on (its manifest)
 */
export async function findDatabaseBackup(
  vault: VaultReader,
  wanted: {instance?: string; at?: number},
): Promise<DatabaseBackup> {
  const instance = chooseInstance(vault, await listInstances(vault), wanted.instance);
  const {at} = wanted;
  const found = instance.backups.findLast((backup) => at === undefined || backupMicros(backup) <= at);
  if (found !== undefined) return readDatabaseBackup(vault, instance.name, found);
  const [oldest, newest] = [instance.backups[0], instance.backups.at(-1)];
  throw new BkpError(
    'BACKUP_NOT_FOUND',
    `backup restore error: No backup timestamp found that is <= ${at === undefined ? 'now' : timestampText(at)}`,
    {
      next:
        oldest === undefined
          ? `instance ${instance.name} has no backups`
          : `the backups of ${instance.name} are from ${timestampText(backupMicros(oldest))} to ${timestampText(backupMicros(newest!))}`,
      context: {instance: instance.name},
    },
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
    throw new BkpError('BACKUP_NOT_FOUND', `${vault.store} holds no backups of instance ${wanted}`, {
      next: usable.length === 0 ? 'BACKUP DATABASE takes one' : `it holds backups of ${names}`,
    });
  }
  if (usable.length === 1) return usable[0]!;
  if (usable.length === 0) {
    throw new BkpError('BACKUP_NOT_FOUND', `${vault.store} holds no database backups`, {
      next: 'BACKUP DATABASE takes one; check the store that is named',
    });
  }
  throw new BkpError('BAD_REQUEST', `${vault.store} holds backups of several databases: ${names}`, {
    next: 'name the one to restore: backup.instance.name=…',
  });
}
