import type {Deps} from '../../app/deps.ts';
import {type Check, type CheckFormat, tellChecks} from '../../app/health/check.ts';
import {checkHome, checkNode, checkProfile, checkSource, checkStores} from '../../app/health/doctor-checks.ts';

export type DoctorOptions = {
  /** Remove change tracking that no collection needs any more, and write a vault's lost header again. */
  repair: boolean;
  format: CheckFormat;
};

/** Runs every check, also after one that failed: a person wants to see all that is wrong at once. */
export async function runDoctor(deps: Deps, {repair, format}: DoctorOptions): Promise<void> {
  const checks: Check[] = [];
  for (const group of [checkNode, checkHome, checkProfile, checkStores, checkSource]) {
    checks.push(...(await group(deps, {repair})));
  }
  tellChecks(deps, checks, format);
}
