import type {KeepSettings} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {periodText, readPeriod} from '../../lib/period.ts';
import {type KeepKey, keepSettingRules} from '../stored/keep.ts';

/** @param value undefined: the rule no longer applies @throws BkpError `BAD_REQUEST` */
export function withKeepRule<Settings extends KeepSettings>(
  {keepLatest, keep, ...settings}: Settings,
  key: KeepKey,
  value: string | undefined,
): Settings {
  const rule = keepSettingRules[key];
  const latest = rule !== 'last' ? keepLatest : value === undefined ? undefined : countValue(key, value);
  const {[rule as 'daily']: _, ...others} = keep ?? {};
  const changed = {
    ...others,
    ...(rule === 'last' || value === undefined
      ? {}
      : {[rule]: rule === 'within' ? withinValue(key, value) : countValue(key, value)}),
  };
  return {
    ...settings,
    ...(latest === undefined ? {} : {keepLatest: latest}),
    ...(Object.keys(changed).length === 0 ? {} : {keep: changed}),
  } as Settings;
}

/** Zero is not allowed: DROP removes every backup. */
function countValue(key: string, value: string): number {
  if (/^[1-9]\d{0,5}$/.test(value)) return Number(value);
  throw badValue(key, value, `${key}='7' or another whole number from 1 to 999999`);
}

function withinValue(key: string, value: string): string {
  const period = readPeriod(value.trim());
  if (period !== undefined) return periodText(period);
  throw badValue(key, value, `${key}='3 days'; the units are hours, days, weeks, months and years`);
}

function badValue(key: string, value: string, example: string): BkpError {
  return new BkpError('BAD_REQUEST', `${key} cannot be '${value}'`, {next: `write ${example}`});
}
