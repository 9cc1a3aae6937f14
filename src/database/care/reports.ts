import {type Report, readReport} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {listInstances} from '../stored/instance.ts';
import type {DatabaseBackupName} from '../stored/names.ts';

/** A report on a backup of a whole database; `error` if it cannot be read. */
export type StoredDatabaseReport = {instance: string; backup: DatabaseBackupName; id: string} & (
  | {report: Report; error?: undefined}
  | {report?: undefined; error: string}
);

/** The reports on all backups of every instance, oldest first within an instance. */
export async function listDatabaseReports(vault: VaultReader): Promise<readonly StoredDatabaseReport[]> {
  const listed: StoredDatabaseReport[] = [];
  for (const {name: instance, reports} of await listInstances(vault)) {
    for (const {key, backup, id} of reports) {
      const report = await readReport(vault, key);
      if (!(report instanceof BkpError)) listed.push({instance, backup, id, report});
      else if (report.code !== 'OBJECT_MISSING') listed.push({instance, backup, id, error: report.message});
    }
  }
  return listed;
}
