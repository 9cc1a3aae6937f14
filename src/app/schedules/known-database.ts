import {parseBudget} from '../../backups/index.ts';
import type {BackupPlan} from '../../collections/index.ts';
import {backupMicros, type DatabaseBackupName} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {Deps} from '../deps.ts';
import {ownInstance} from '../places/own-instance.ts';
import {objectPlace, withVaultIfAny} from '../places/places.ts';
import {requireSource, type Workplace} from '../places/workplace.ts';

/**
 * A profile's database, which `backup.schedule.cron` backs up as a whole, or `backup.schedule.verify.cron` verifies, or
 * `backup.schedule.drill.cron` restores on trial.
 * `newestMs`: its newest backup; absent: none is known.
 */
export type ScheduledDatabase = {
  deps: Deps;
  place: Workplace;
  plan: BackupPlan;
  newestMs?: number;
  /** Its backups are verified. `firstMs`: the oldest of them. */
  verify?: {budget: string | undefined; firstMs: number | undefined};
  /** Its newest backup is restored on trial. `lastMs`: when that last passed, by the reports in the store. */
  drill?: {firstMs: number | undefined; lastMs: number | undefined};
};

type Planned = {
  backup?: ScheduledDatabase;
  verify?: ScheduledDatabase & Required<Pick<ScheduledDatabase, 'verify'>>;
  drill?: ScheduledDatabase;
};

/**
 * The plans from the settings alone, without reading a store.
 * @throws BkpError `BAD_REQUEST` for an invalid line, zone or budget | `USAGE` when source or object store are not set
 */
export async function databasePlan(deps: Deps): Promise<Planned> {
  const {scheduleLine, verifyLine, drillLine, verifyBudget: budget, scheduleZone} = await deps.settings();
  const lines = [scheduleLine, verifyLine, drillLine].filter((line) => line !== undefined);
  if (lines.length === 0) return {};
  for (const line of lines) openSchedule(line, scheduleZone);
  if (budget !== undefined) parseBudget('backup.verify.budget', budget);
  const place = await placeOfSchedule(deps);
  const planOf = (schedule: string) => ({deps, place, plan: {incremental: false, schedule, scheduleZone}});
  return {
    ...(scheduleLine === undefined ? {} : {backup: planOf(scheduleLine)}),
    ...(verifyLine === undefined ? {} : {verify: {...planOf(verifyLine), verify: {budget, firstMs: undefined}}}),
    ...(drillLine === undefined ? {} : {drill: planOf(drillLine)}),
  };
}

/** @throws BkpError `USAGE` that also names the way out for a profile that only has collections to back up */
async function placeOfSchedule(deps: Deps): Promise<Workplace> {
  try {
    const place = await objectPlace(deps);
    requireSource(place);
    return place;
  } catch (error) {
    if (!(error instanceof BkpError && error.code === 'USAGE')) throw error;
    throw new BkpError('USAGE', `the database has a schedule, and ${error.message}`, {
      cause: 'backup.schedule.cron, backup.schedule.verify.cron or backup.schedule.drill.cron is set',
      next: `${error.next}; or, for collections alone: bkp config unset backup.schedule.cron`,
    });
  }
}

/**
 * What is scheduled for the database. Before its first backup nothing is verified.
 * @throws BkpError as {@link databasePlan}, and when the store cannot be read
 */
export async function scheduledDatabase(deps: Deps): Promise<readonly ScheduledDatabase[]> {
  const {backup, verify, drill} = await databasePlan(deps);
  const place = (backup ?? verify ?? drill)?.place;
  if (place === undefined) return [];
  const instance = await withVaultIfAny(deps, place, async (vault) => {
    try {
      return await ownInstance(deps, place, vault);
    } catch (error) {
      // A database that is temporarily unavailable keeps its schedule; its backup will report the error.
      if (error instanceof BkpError) return undefined;
      throw error;
    }
  });
  const [first, newest] = [instance?.backups.at(0), instance?.backups.at(-1)];
  const last = instance?.reports.findLast(({level, outcome}) => level === 'restore' && outcome === 'passed');
  const ms = (name: DatabaseBackupName) => backupMicros(name) / 1000;
  return [
    ...(backup === undefined ? [] : [newest === undefined ? backup : {...backup, newestMs: ms(newest)}]),
    ...(verify === undefined || first === undefined
      ? []
      : [{...verify, verify: {...verify.verify, firstMs: ms(first)}}]),
    ...(drill === undefined || first === undefined
      ? []
      : [{...drill, drill: {firstMs: ms(first), lastMs: last?.atMs}}]),
  ];
}
