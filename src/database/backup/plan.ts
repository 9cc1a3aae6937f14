import type {FileSource} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type DatabaseBackupName, nextDatabaseBackupName} from '../stored/names.ts';
import {findInstance, presentDatabase} from './find-instance.ts';

/**
 * Refuses what can be refused before any work starts; nothing is written.
 * @returns `instance` is absent before the first backup. `name` is the backup_timestamp, unless the clock is
 *   set back before the backup is taken
 */
export async function planDatabaseBackup(
  vault: VaultReader,
  source: FileSource,
  request: {instance?: string | undefined; adopt?: string | undefined; nowMicros: number},
): Promise<{instance?: string; name: DatabaseBackupName}> {
  const {instance} = await findInstance(vault, await presentDatabase(source), request);
  const name = nextDatabaseBackupName(request.nowMicros, instance?.backups ?? []);
  return instance === undefined ? {name} : {instance: instance.name, name};
}
