import type {Standing} from '../../backups/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {examineDatabaseBackup} from '../stored/examine.ts';
import {listInstances} from '../stored/instance.ts';
import type {DatabaseBackupBody} from '../stored/manifest.ts';
import {backupMicros, type DatabaseBackupName} from '../stored/names.ts';

/** One backup in a store. */
export type DatabaseBackupSummary = {
  instance: string;
  backup: DatabaseBackupName;
  /** The backup's timestamp, microseconds since 1970. */
  timestampMicros: number;
  state: Standing<unknown>['state'];
  /** Absent if the manifest cannot be read. */
  body?: DatabaseBackupBody | undefined;
  /** Why the backup is not sound. */
  error?: string | undefined;
};

/** Oldest first, instance by instance. @param options.instance absent: of all */
export async function listDatabaseBackups(
  vault: VaultReader,
  options: {instance?: string | undefined} = {},
): Promise<readonly DatabaseBackupSummary[]> {
  const wanted = (await listInstances(vault)).filter(({name}) => (options.instance ?? name) === name);
  const all = wanted.flatMap(({name, backups}) => backups.map((backup) => ({instance: name, backup})));
  if (all.length === 0) return [];
  const survey = await vault.survey();
  // All concurrently: the store itself limits the number of its requests.
  return Promise.all(
    all.map(async (one): Promise<DatabaseBackupSummary> => {
      const {state, backup, fault} = await examineDatabaseBackup(vault, survey, one);
      return {...one, timestampMicros: backupMicros(one.backup), state, body: backup?.body, error: fault?.message};
    }),
  );
}
