import type {ReportFacts} from './report.ts';

/**
 * The reports that stay when their backups are removed: of each level the newest, and the newest that passed. They are
 * what metrics, doctor and schedules know of verifications, and a cleanup must not make anyone forget a failed drill.
 * @param reports all of one collection or database; of two in one second, both count as the newest
 */
export function lastingReports<R extends ReportFacts>(reports: readonly R[]): ReadonlySet<R> {
  const lasting = new Set<R>();
  for (const level of new Set(reports.map((report) => report.level))) {
    const all = reports.filter((report) => report.level === level);
    for (const some of [all, all.filter(({outcome}) => outcome === 'passed')]) {
      const lastMs = Math.max(...some.map(({atMs}) => atMs));
      for (const report of some) if (report.atMs === lastMs) lasting.add(report);
    }
  }
  return lasting;
}
