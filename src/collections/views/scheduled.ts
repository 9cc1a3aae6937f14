import {unlessUnreadable} from '../../backups/index.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import type {NamedDatabase} from '../backup/belongs.ts';
import type {CollectionSettings} from '../stored/definition.ts';
import {type CollectionFolder, isLiving, readAllFolders} from '../stored/folder.ts';
import {readBackup, takenAtMs} from '../stored/manifest.ts';
import {type BackupName, nameMs} from '../stored/names.ts';
import {takenTimes} from '../stored/taken-times.ts';

/** When backups are taken, and which are full ones. */
export type BackupPlan = Pick<CollectionSettings, 'incremental' | 'schedule' | 'scheduleFull' | 'scheduleZone'>;

/**
 * A collection with SCHEDULE, SCHEDULE_FULL, SCHEDULE_VERIFY or SCHEDULE_DRILL, and its newest backup. Times are
 * milliseconds since 1970.
 */
export type ScheduledCollection = {
  name: string;
  plan: BackupPlan & Pick<CollectionSettings, 'scheduleVerify' | 'verifyBudget' | 'scheduleDrill'>;
  /** When a restore on trial last left a report, whatever its outcome. */
  drillMs?: number;
  createdAtMs: number;
  /** Of its newest backup; absent if there is none. */
  newestMs?: number;
  /**
   * When the chain of the newest backup began. Absent if no increment can build on it: there is no backup yet,
   * it was taken without change tracking, or it cannot be read.
   */
  chainMs?: number;
  id: string;
  /** The database of the newest backup; absent if that cannot be read. */
  source?: NamedDatabase;
};

/**
 * The collections of one vault that have a schedule, by name.
 * @param folders absent: it reads them
 */
export async function listScheduled(
  vault: VaultReader,
  folders?: readonly CollectionFolder[],
): Promise<readonly ScheduledCollection[]> {
  const found: ScheduledCollection[] = [];
  for (const {newest: definition, backups, reports} of (folders ?? (await readAllFolders(vault))).filter(isLiving)) {
    if (definition === undefined) continue;
    const {id, name, createdAt, settings} = definition;
    const {schedule, scheduleFull, scheduleVerify, scheduleDrill} = settings;
    if ((schedule ?? scheduleFull ?? scheduleVerify ?? scheduleDrill) === undefined) continue;
    const drills = reports.filter(({level}) => level === 'restore').map(({atMs}) => atMs);
    const newest = backups.at(-1);
    found.push({
      id,
      name,
      plan: settings,
      createdAtMs: Date.parse(createdAt),
      ...(drills.length === 0 ? {} : {drillMs: Math.max(...drills)}),
      ...(newest === undefined ? {} : await newestFacts(vault, name, {newest, backups})),
    });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function newestFacts(
  vault: VaultReader,
  collection: string,
  {newest, backups}: {newest: BackupName; backups: readonly BackupName[]},
): Promise<Pick<ScheduledCollection, 'newestMs' | 'chainMs' | 'source'>> {
  const backup = await unlessUnreadable(readBackup(vault, collection, newest));
  if (backup === undefined) return {newestMs: nameMs(newest)};
  const {mark, chain, source} = backup.body;
  const newestMs = takenAtMs(backup.body);
  if (mark === undefined) return {newestMs, source};
  // A name that had to follow one of a clock that was ahead is no time: the oldest backup that is left of the chain is
  // the best witness of its beginning.
  const isTime = nameMs(chain) <= newestMs;
  const oldest = backups.find((name) => name >= chain) ?? newest;
  const [oldestMs] = isTime ? [nameMs(chain)] : await takenTimes(vault, collection, [oldest]);
  return {newestMs, source, chainMs: oldestMs!};
}

/** The next time of either line, and the next of the line for full backups; both are later than `afterMs`. */
export function nextTimes(
  {schedule, scheduleFull, scheduleZone}: BackupPlan,
  afterMs: number,
): {any: number | undefined; full: number | undefined} {
  const next = (line: string | undefined) =>
    line === undefined ? undefined : openSchedule(line, scheduleZone).next(afterMs);
  const [any, full] = [next(schedule), next(scheduleFull)];
  const both = [any, full].filter((time) => time !== undefined);
  return {any: both.length === 0 ? undefined : Math.min(...both), full};
}
