import type {Settings} from '../../config/index.ts';
import {backupMicros, type DatabaseKeep, listDatabaseBackups, planDatabaseRetention} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {ownInstance} from '../places/own-instance.ts';
import type {Workplace} from '../places/workplace.ts';

/** `backup`: `gentle-forest-orchid/2024-08-24T12:34:56.789123Z`. */
export type DatabaseVerdictRow = {backup: string; goes: boolean; why: string; rules: readonly string[]};

/**
 * What the cleanup after the next successful BACKUP DATABASE starts from, newest first. Only for the profile's
 * own database: the backups of others that share the store follow the settings of their own profiles.
 */
export async function databaseVerdicts(deps: Deps, place: Workplace, vault: Vault): Promise<DatabaseVerdictRow[]> {
  const instance = await orWarn(deps, () => ownInstance(deps, place, vault));
  if (instance === undefined) return [];
  const keep = keepOf(await deps.settings());
  const verified = keep.keep?.verified !== undefined;
  const backups = await listDatabaseBackups(vault, {instance: instance.name, verified});
  const plan = planDatabaseRetention(backups, keep, deps.nowMicros() / 1000);
  return plan.verdicts.map(({instance, backup, ...verdict}) => ({
    ...verdict,
    backup: `${instance}/${microsText(backupMicros(backup))}`,
  }));
}

/** The rules of the profile for the backups of whole databases. */
export function keepOf(settings: Settings): DatabaseKeep {
  const {
    keepLatest,
    keepHourly,
    keepDaily,
    keepWeekly,
    keepMonthly,
    keepYearly,
    keepWithin,
    keepVerified,
    scheduleZone,
  } = settings;
  const keep = {
    ...(keepHourly === undefined ? {} : {hourly: keepHourly}),
    ...(keepDaily === undefined ? {} : {daily: keepDaily}),
    ...(keepWeekly === undefined ? {} : {weekly: keepWeekly}),
    ...(keepMonthly === undefined ? {} : {monthly: keepMonthly}),
    ...(keepYearly === undefined ? {} : {yearly: keepYearly}),
    ...(keepWithin === undefined ? {} : {within: keepWithin}),
    ...(keepVerified === undefined ? {} : {verified: keepVerified}),
  };
  if (Object.keys(keep).length === 0) return {keepLatest};
  return {keepLatest, keep, zone: scheduleZone};
}

/** An unavailable database blocks only its own plan, not those of collections. */
async function orWarn<T>({warn}: Deps, find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    warn(`backups of the database are left out: ${error.message}`);
    return undefined;
  }
}
