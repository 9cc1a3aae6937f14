import {planBackup} from '../../collections/index.ts';
import {BkpError} from '../../errors/index.ts';
import {secondsText} from '../../lib/time.ts';
import type {Deps} from '../deps.ts';
import {type Check, tried} from '../health/check.ts';
import {StoreFolders} from '../health/store-folders.ts';
import {placesOf, withVaultIfAny} from '../places/places.ts';
import {withSource} from '../places/source-places.ts';
import type {Workplace} from '../places/workplace.ts';
import {checkLastOperations} from './check-last.ts';
import {decide} from './decide.ts';
import {nameOf, type Scheduled, scheduledOf, situationOf, taskOf} from './known.ts';
import {nothingRuns} from './runner.ts';

/** A timer starts what is due within five minutes, and a backup takes its time. */
const overdueMs = 15 * 60_000;

/** Whether backups are taken and proved: the schedules, the chains, and how the last attempts ended. */
export async function checkBackups(
  deps: Deps,
  {folders = new StoreFolders(deps)}: {folders?: StoreFolders} = {},
): Promise<Check[]> {
  const schedules = await checkSchedules(deps, folders);
  return [...schedules, ...(await checkChains(deps, folders)), ...(await checkLastOperations(deps, folders))];
}

function checkSchedules(deps: Deps, folders: StoreFolders): Promise<Check[]> {
  return tried('schedules', async () => {
    if ((await deps.settings()).source === undefined) return [];
    const {scheduled} = await scheduledOf(deps, folders);
    if (scheduled.length === 0) return [];
    const late = (await Promise.all(scheduled.map((one) => overdue(deps, one)))).flat();
    const idle = await nothingRuns(deps);
    const what = 'schedules';
    return [
      ...(idle === undefined ? [] : [{what, ok: false, ...idle}]),
      ...late,
      ...(idle === undefined && late.length === 0
        ? [{what, ok: true, detail: `${scheduled.map(nameOf).join(', ')}: nothing is overdue`}]
        : []),
    ];
  });
}

async function overdue(deps: Deps, scheduled: Scheduled): Promise<Check[]> {
  const nowMs = deps.nowMicros() / 1000;
  const decision = decide(await situationOf(scheduled), nowMs);
  if (decision.take === 'nothing' || nowMs - decision.dueMs < overdueMs) return [];
  const what = taskOf(scheduled) === 'backup' ? 'backup' : 'run';
  const missing = what === 'backup' ? 'was not taken' : 'was not made';
  const detail = `${nameOf(scheduled)}: the ${what} of ${secondsText(decision.dueMs * 1000)} ${missing}`;
  return [{what: 'schedules', ok: false, detail, next: 'bkp schedule next; bkp operation list shows failed attempts'}];
}

/** What the next increment of each collection would be refused for. */
function checkChains(deps: Deps, folders: StoreFolders): Promise<Check[]> {
  return tried('chains', async () => {
    const [first, ...others] = await placesOf(deps);
    if (first.source === undefined) return [];
    const checks: Check[] = [];
    for (const place of [first, ...others]) checks.push(...(await chainsIn(deps, place, folders)));
    return checks;
  });
}

async function chainsIn(deps: Deps, place: Workplace, folders: StoreFolders): Promise<Check[]> {
  const known = await folders.of(place);
  const checks = await withVaultIfAny(deps, place, async (vault) => {
    const found: Check[] = [];
    for (const {newest, backups} of known ?? []) {
      if (newest === undefined || newest.dropped !== undefined || !newest.settings.incremental) continue;
      if (backups.length === 0) continue;
      const {name: collection} = newest;
      const request = {collection, type: 'incremental', nowMicros: deps.nowMicros()} as const;
      try {
        await withSource(deps, place, (source) => planBackup(vault, source, request));
      } catch (error) {
        // Its backups are of another database, whose own machine checks it.
        if (!(error instanceof BkpError) || error.code === 'PRECONDITION') continue;
        const what = `chain: ${collection}`;
        found.push({what, ok: false, detail: `no increment is possible: ${error.message}`, next: error.next});
      }
    }
    return found;
  });
  return checks ?? [];
}
