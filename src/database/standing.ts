import type {VaultReader} from '../vault/index.ts';
import {unlessUnreadable} from '../work/index.ts';
import {listInstances} from './instance.ts';
import {readDatabaseBackup} from './manifest.ts';
import type {DatabaseBackupName} from './names.ts';

/** How one database's line of backups stands, by as little reading as tells it: a listing and one manifest. */
export type DatabaseStanding = {
  instance: string;
  backups: number;
  /** Backups after the newest good one whose manifest is missing or damaged. */
  unreadable: number;
  /** Absent without a good backup. Good: its manifest is there and whole; VERIFY alone tells of what it names. */
  newest?: {takenAtMicros: number; logicalBytes: number; storedBytes: number};
};

/** In the order of their names. */
export async function databaseStandings(vault: VaultReader): Promise<readonly DatabaseStanding[]> {
  const instances = await listInstances(vault);
  const standings = await Promise.all(instances.map(({name, backups}) => standing(vault, name, backups)));
  return standings.sort((a, b) => (a.instance < b.instance ? -1 : 1));
}

async function standing(
  vault: VaultReader,
  instance: string,
  backups: readonly DatabaseBackupName[],
): Promise<DatabaseStanding> {
  for (const [unreadable, backup] of backups.toReversed().entries()) {
    const read = await unlessUnreadable(readDatabaseBackup(vault, instance, backup));
    if (read === undefined) continue;
    const {takenAtMicros, bytes, cost} = read.body;
    const newest = {takenAtMicros, logicalBytes: bytes, storedBytes: cost.storedBytes};
    return {instance, backups: backups.length, unreadable, newest};
  }
  return {instance, backups: backups.length, unreadable: backups.length};
}
