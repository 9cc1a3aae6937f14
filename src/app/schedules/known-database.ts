import type {BackupPlan} from '../../collections/index.ts';
import {backupMicros} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {Deps} from '../deps.ts';
import {ownInstance} from '../places/own-instance.ts';
import {objectPlace, withVaultIfAny} from '../places/places.ts';
import {requireSource, type Workplace} from '../places/workplace.ts';

/**
 * A profile's database, which `backup.schedule.cron` backs up as a whole. `newestMs`: its newest backup;
 * absent: none is known.
 */
export type ScheduledDatabase = {deps: Deps; place: Workplace; plan: BackupPlan; newestMs?: number};

/**
 * The plan from the settings alone, without reading a store.
 * @returns undefined when the profile has no such line
 * @throws BkpError `BAD_REQUEST` for an invalid line or zone | `USAGE` when source or object store are not set
 */
export async function databasePlan(deps: Deps): Promise<ScheduledDatabase | undefined> {
  const {scheduleLine, scheduleZone} = await deps.settings();
  if (scheduleLine === undefined) return undefined;
  openSchedule(scheduleLine, scheduleZone);
  const place = await objectPlace(deps);
  requireSource(place);
  return {deps, place, plan: {incremental: false, schedule: scheduleLine, scheduleZone}};
}

/** @throws BkpError as {@link databasePlan}, and when the store cannot be read */
export async function scheduledDatabase(deps: Deps): Promise<ScheduledDatabase | undefined> {
  const planned = await databasePlan(deps);
  if (planned === undefined) return undefined;
  const {place} = planned;
  const newest = await withVaultIfAny(deps, place, async (vault) => {
    try {
      return (await ownInstance(deps, place, vault))?.backups.at(-1);
    } catch (error) {
      // A database that is temporarily unavailable keeps its schedule; its backup will report the error.
      if (error instanceof BkpError) return undefined;
      throw error;
    }
  });
  return newest === undefined ? planned : {...planned, newestMs: backupMicros(newest) / 1000};
}
