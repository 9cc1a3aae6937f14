import {BkpError} from '../errors/index.ts';
import {isDamage, type Recipe, type Witnessed} from '../vault/index.ts';
import type {ReportedCheck} from './report.ts';
import type {WorkTools} from './tools.ts';

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

/**
 * What a passed drill has read was verified. It also reads the little that a restore does not need and a backup has,
 * where segments are cut for example, so that the backup counts as verified. Neither damage there nor a store that
 * cannot be written fails the drill: the backup was restored. A store that is lost does, so the report is stored after
 * this: none says that an operation passed that ended with an error.
 */
export async function recordDrill(
  record: Witnessed['record'],
  streams: readonly Recipe[],
  {notice, signal}: Pick<WorkTools, 'notice' | 'signal'>,
): Promise<void> {
  const {fault, unrecorded} = await record(streams, {signal});
  if (fault !== undefined) {
    notice(`the backup was restored, but SELECT or a later backup may need what is damaged: ${fault.message}`);
  }
  if (unrecorded !== undefined) notice(`what the drill verified is not recorded in the store: ${unrecorded.message}`);
}
