import type {VaultReader} from '../vault/index.ts';
import {unlessUnreadable} from '../work/index.ts';
import {readAllFolders} from './folder.ts';
import {type BackupBody, readBackup, takenAtMs} from './manifest.ts';
import {type BackupName, nameInPrefix} from './names.ts';

/** How a living collection stands, by as little reading as tells it: one listing, its definition, one manifest. */
export type CollectionStanding = {
  name: string;
  backups: number;
  /** Backups after the newest good one whose manifest is missing or damaged. */
  unreadable: number;
  /** Absent without a good backup. Good: its manifest is there and whole; VERIFY alone tells of what it names. */
  newest?: {name: BackupName; takenAtMs: number; cost: BackupBody['cost']};
};

/** In the order of their names. */
export async function collectionStandings(vault: VaultReader): Promise<readonly CollectionStanding[]> {
  const standings: CollectionStanding[] = [];
  for (const {prefix, newest: definition, damage, backups} of await readAllFolders(vault)) {
    if (damage === undefined && (definition === undefined || definition.dropped !== undefined)) continue;
    standings.push(await standing(vault, definition?.name ?? nameInPrefix(prefix) ?? prefix, backups));
  }
  return standings.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function standing(vault: VaultReader, name: string, backups: readonly BackupName[]): Promise<CollectionStanding> {
  const newestFirst = backups.toReversed();
  for (const [unreadable, backup] of newestFirst.entries()) {
    const read = await unlessUnreadable(readBackup(vault, name, backup));
    if (read === undefined) continue;
    const newest = {name: backup, takenAtMs: takenAtMs(read.body), cost: read.body.cost};
    return {name, backups: backups.length, unreadable, newest};
  }
  return {name, backups: backups.length, unreadable: backups.length};
}
