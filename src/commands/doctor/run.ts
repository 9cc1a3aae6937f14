import type {Check} from '../../app/health/check.ts';
import {checkHome, checkNode, checkProfile, checkSource, checkStores} from '../../app/health/doctor-checks.ts';
import {StoreFolders} from '../../app/health/store-folders.ts';
import {checkBackups} from '../../app/schedules/check.ts';
import {type CheckFormat, printChecks} from '../checks.ts';
import type {CommandDeps} from '../deps.ts';

export type DoctorOptions = {
  /** Remove change tracking that no collection needs any more, and rewrite a vault's lost header. */
  repair: boolean;
  format: CheckFormat;
};

/** A source or a store that is away also fails every check that needs it: the first one names the others. */
export function oncePerCause(checks: readonly Check[]): Check[] {
  const kept: Check[] = [];
  for (const check of checks) {
    const first = check.ok ? undefined : kept.find((earlier) => isCauseOf(earlier, check));
    if (first === undefined) kept.push({...check});
    else first.detail += `; for this reason the check of ${check.what} fails too`;
  }
  return kept;
}

/** The later one quotes the error of the earlier one, which may add the cause. */
function isCauseOf(earlier: Check, later: Check): boolean {
  if (earlier.ok || earlier.next === undefined || earlier.next !== later.next) return false;
  const quoted = later.detail.slice(later.detail.indexOf(': ') + 2);
  return earlier.detail.startsWith(quoted) || earlier.detail.startsWith(later.detail);
}

/** Runs every check, also after a failed one, to report all faults in one run. */
export async function runDoctor(deps: CommandDeps, {repair, format}: DoctorOptions): Promise<void> {
  const checks: Check[] = [];
  const folders = new StoreFolders(deps);
  for (const group of [checkNode, checkHome, checkProfile, checkStores, checkSource, checkBackups]) {
    checks.push(...(await group(deps, {repair, folders})));
  }
  printChecks(deps, oncePerCause(checks), format);
}
