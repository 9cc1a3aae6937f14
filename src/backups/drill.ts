import {BkpError} from '../errors/index.ts';
import {isDamage} from '../vault/index.ts';
import type {ReportedCheck} from './report.ts';

/** Runs a restore. Damage is a result; everything else is an error of this machine or of the way to the store. */
export async function attemptRestore<T>(run: () => Promise<T>): Promise<{restored?: T; fault?: BkpError}> {
  try {
    return {restored: await run()};
  } catch (error) {
    if (error instanceof BkpError && (error.code === 'SOURCE_DAMAGED' || isDamage(error))) return {fault: error};
    throw error;
  }
}

/** One sentence for each fault, for a report. */
export function drillFaults(fault: BkpError | undefined, queries: readonly ReportedCheck[]): readonly string[] {
  return [
    ...(fault === undefined ? [] : [fault.message, ...(fault.details ?? [])]),
    ...queries
      .filter(({held}) => !held)
      .map(({sql, found}) => `the query does not hold: ${sql} (it returned ${found})`),
  ];
}
