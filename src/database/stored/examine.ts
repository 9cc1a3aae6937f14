import {type Standing, standingOf} from '../../backups/index.ts';
import type {Survey, VaultReader} from '../../vault/index.ts';
import {type DatabaseBackup, readDatabaseBackup} from './manifest.ts';
import type {DatabaseBackupName} from './names.ts';

/** What is known of a backup without reading its data. */
export function examineDatabaseBackup(
  vault: VaultReader,
  survey: Survey,
  {instance, backup}: {instance: string; backup: DatabaseBackupName},
): Promise<Standing<DatabaseBackup>> {
  const read = async () => {
    const found = await readDatabaseBackup(vault, instance, backup);
    return {backup: found, streams: [found.data, found.list]};
  };
  return standingOf(survey, read, {skipLists: true});
}
