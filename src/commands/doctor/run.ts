import type {Check} from '../../app/health/check.ts';
import {checkHome, checkNode, checkProfile, checkSource, checkStores} from '../../app/health/doctor-checks.ts';
import {checkBackups} from '../../app/schedules/check.ts';
import {type CheckFormat, printChecks} from '../checks.ts';
import type {CommandDeps} from '../deps.ts';

export type DoctorOptions = {
  /** Remove change tracking that no collection needs any more, and rewrite a vault's lost header. */
  repair: boolean;
  format: CheckFormat;
};

/** Runs every check, also after a failed one, to report all faults in one run. */
export async function runDoctor(deps: CommandDeps, {repair, format}: DoctorOptions): Promise<void> {
  const checks: Check[] = [];
  for (const group of [checkNode, checkHome, checkProfile, checkStores, checkSource, checkBackups]) {
    checks.push(...(await group(deps, {repair})));
  }
  printChecks(deps, checks, format);
}
