import {unlessUnreadable} from '../../backups/index.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import type {NamedDatabase} from '../backup/belongs.ts';
import type {CollectionSettings} from '../stored/definition.ts';
import {isLiving, readAllFolders} from '../stored/folder.ts';
import {readBackup} from '../stored/manifest.ts';
import {type BackupName, nameMs} from '../stored/names.ts';

/** When backups are taken, and which are full ones. */
export type BackupPlan = Pick<CollectionSettings, 'incremental' | 'schedule' | 'scheduleFull' | 'scheduleZone'>;

/** A collection with SCHEDULE or SCHEDULE_FULL, and how far its backups are. Times are milliseconds since 1970. */
export type ScheduledCollection = {
  name: string;
  plan: BackupPlan;
  createdAtMs: number;
  /** Of its newest backup; absent without any. */
  newestMs?: number;
  /**
   * When the chain of the newest backup began. Absent where an increment has nothing to go on from: no backup yet, one without change
   * tracking, or one that cannot be read.
   */
  chainMs?: number;
  id: string;
  /** Which database the newest backup is of; absent without a readable one. */
  source?: NamedDatabase;
};

/** The collections of one vault that have a schedule, by name. */
export async function listScheduled(vault: VaultReader): Promise<readonly ScheduledCollection[]> {
  const found: ScheduledCollection[] = [];
  for (const {newest: definition, backups} of (await readAllFolders(vault)).filter(isLiving)) {
    if (definition === undefined) continue;
    const {id, name, createdAt, settings} = definition;
    if (settings.schedule === undefined && settings.scheduleFull === undefined) continue;
    const newest = backups.at(-1);
    found.push({
      id,
      name,
      plan: settings,
      createdAtMs: Date.parse(createdAt),
      ...(newest === undefined ? {} : {newestMs: nameMs(newest), ...(await newestFacts(vault, name, newest))}),
    });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function newestFacts(
  vault: VaultReader,
  collection: string,
  newest: BackupName,
): Promise<Pick<ScheduledCollection, 'chainMs' | 'source'>> {
  const backup = await unlessUnreadable(readBackup(vault, collection, newest));
  if (backup === undefined) return {};
  const {mark, chain, source} = backup.body;
  return {source, ...(mark === undefined ? {} : {chainMs: nameMs(chain)})};
}

/** The next moment of either line, and the next of the one for full backups; both are later than `afterMs`. */
export function nextMoments(
  {schedule, scheduleFull, scheduleZone}: BackupPlan,
  afterMs: number,
): {any: number | undefined; full: number | undefined} {
  const next = (line: string | undefined) =>
    line === undefined ? undefined : openSchedule(line, scheduleZone).next(afterMs);
  const [any, full] = [next(schedule), next(scheduleFull)];
  const both = [any, full].filter((moment) => moment !== undefined);
  return {any: both.length === 0 ? undefined : Math.min(...both), full};
}
