import {newestReadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {type Backup, readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

/**
 * Refuses what can be refused before any work starts; nothing is written.
 * @returns the backup that will be restored
 */
export async function planRestore(
  vault: VaultReader,
  source: TableSource,
  request: {collection: string; point: string | undefined},
): Promise<BackupName> {
  const live = await requireReadable(vault, request.collection);
  const backup = await findBackup(vault, {...request, backups: live.backups});
  try {
    await requireFreeTargets(source, await readBackup(vault, request.collection, backup));
  } catch (error) {
    throw isDamage(error) ? await withReadable(vault, request.collection, live.backups, error) : error;
  }
  return backup;
}

/** The same error; its next step is to restore the newest backup that can be read, if there is one. */
async function withReadable(
  vault: VaultReader,
  collection: string,
  backups: readonly BackupName[],
  error: BkpError,
): Promise<BkpError> {
  const newest = await newestReadable(backups, (backup) => readBackup(vault, collection, backup));
  if (newest === undefined) return error;
  return new BkpError(error.code, error.message, {
    cause: error.cause,
    next: `the newest backup that can be read: RESTORE ${quoteName(collection)} AT '${newest.body.backup}'`,
    context: error.context,
  });
}

/** @throws BkpError `TABLE_EXISTS` */
export async function requireFreeTargets(source: TableSource, backup: Backup): Promise<void> {
  const {tables, objects = []} = backup.body;
  const names = [...tables.map(({schema}) => schema.name), ...objects.map(({name}) => name)];
  const existing = (await source.describe(names)).filter((table) => table.state !== 'absent');
  if (existing.length === 0) return;
  const paths = existing.map((table) => `/Root/${table.name}`).join(', ');
  throw new BkpError('TABLE_EXISTS', `path exist: ${paths}`, {
    cause: 'RESTORE creates its tables and changes no existing one; nothing was restored',
    next:
      'restore into another database with --source; or drop the existing tables (if you only rename a table, ' +
      'the names of its indexes and triggers stay taken)',
  });
}
