import type {Report} from '../../backups/index.ts';
import {listReports, type Storage} from '../../collections/index.ts';
import {listDatabaseReports} from '../../database/index.ts';
import {microsText} from '../../lib/time.ts';
import {defineView, type View} from '../../query/index.ts';
import type {Deps} from '../deps.ts';
import {ofEveryVault} from '../places/all-collections.ts';

/** A report and where it is; without a `report`, `error` says why. */
export type FoundReport = {
  collection?: string | undefined;
  instance?: string | undefined;
  storage: Storage;
  backup: string;
  id: string;
  report?: Report | undefined;
  error?: string | undefined;
};

/** The reports in every store of the profile, in the order in which they were written. */
export async function allReports(deps: Deps): Promise<readonly FoundReport[]> {
  const found = await ofEveryVault<FoundReport>(deps, async (vault, {storage}) =>
    [...(await listReports(vault)), ...(await listDatabaseReports(vault))].map((report) => ({...report, storage})),
  );
  return found.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

/** A row for each report. */
export function verificationsView(deps: Deps): View {
  return defineView(
    {
      collection: 'VARCHAR',
      instance: 'VARCHAR',
      storage: 'VARCHAR',
      backup: 'VARCHAR',
      level: 'VARCHAR',
      outcome: 'VARCHAR',
      started_at: 'TIMESTAMP',
      seconds: 'DOUBLE',
      restore_seconds: 'DOUBLE',
      tables: 'INT',
      rows: 'LONG',
      faults: 'INT',
      queries: 'INT',
      host: 'VARCHAR',
      bkp_version: 'VARCHAR',
      report: 'VARCHAR',
      page: 'VARCHAR',
      error: 'VARCHAR',
    },
    async () =>
      (await allReports(deps)).map(({collection, instance, storage, backup, id, report, error}) => ({
        collection,
        instance,
        storage,
        backup,
        level: id.split('_')[1],
        outcome: id.split('_')[2],
        started_at: report && microsText(Date.parse(report.startedAt) * 1000),
        seconds: report && (Date.parse(report.endedAt) - Date.parse(report.startedAt)) / 1000,
        restore_seconds: report?.restoreSeconds,
        tables: report?.tables.length,
        rows: report?.tables.reduce((sum, {rows}) => sum + rows, 0),
        faults: report?.faults.length,
        queries: report?.queries.length,
        host: report?.by.host,
        bkp_version: report?.by.bkp,
        report: id,
        page: report?.page,
        error,
      })),
  );
}
