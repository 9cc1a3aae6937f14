import {type Report, readReport} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {isLiving, readAllFolders} from '../stored/folder.ts';
import type {BackupName} from '../stored/names.ts';

/** A report on a backup of a collection; `error` if it cannot be read. */
export type StoredReport = {collection: string; backup: BackupName; id: string} & (
  | {report: Report; error?: undefined}
  | {report?: undefined; error: string}
);

/** The reports on all backups of every collection, oldest first within a collection. */
export async function listReports(vault: VaultReader): Promise<readonly StoredReport[]> {
  const listed: StoredReport[] = [];
  for (const {name: collection, reports} of (await readAllFolders(vault)).filter(isLiving)) {
    for (const {key, backup, id} of reports.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
      const report = await readReport(vault, key);
      if (!(report instanceof BkpError)) listed.push({collection, backup, id, report});
      else if (report.code !== 'OBJECT_MISSING') listed.push({collection, backup, id, error: report.message});
    }
  }
  return listed;
}
