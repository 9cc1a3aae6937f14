import type {ReportFacts} from './report.ts';

/** What the reports of a collection or database say of its restores on trial. */
export type DrillFacts = {
  /** When one last passed; absent: no report says so. */
  newestDrillMs?: number;
  /** Whether the newest one passed, of two in one second the worse one; absent without any. */
  hasLastDrillPassed?: boolean;
};

export function drillFacts(reports: readonly ReportFacts[]): DrillFacts {
  const drills = reports.filter(({level}) => level === 'restore');
  if (drills.length === 0) return {};
  const lastMs = Math.max(...drills.map(({atMs}) => atMs));
  const passed = drills.filter(({outcome}) => outcome === 'passed');
  return {
    hasLastDrillPassed: drills.every(({outcome, atMs}) => outcome === 'passed' || atMs < lastMs),
    ...(passed.length === 0 ? {} : {newestDrillMs: Math.max(...passed.map(({atMs}) => atMs))}),
  };
}
