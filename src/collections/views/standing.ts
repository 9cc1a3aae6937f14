import {unlessUnreadable} from '../../backups/index.ts';
import type {Survey, VaultReader} from '../../vault/index.ts';
import {readAllFolders} from '../stored/folder.ts';
import {type BackupBody, readBackup, takenAtMs} from '../stored/manifest.ts';
import {type BackupName, nameInPrefix} from '../stored/names.ts';

/** How a living collection stands, by what listings, its definition and its manifests tell: no data are read. */
export type CollectionStanding = {
  name: string;
  backups: number;
  /** Backups whose manifest is missing or damaged, or that need what is gone or was found damaged. */
  unreadable: number;
  /** Absent without a good backup. Good: nothing of the kind is known of it. VERIFY alone reads its data. */
  newest?: {name: BackupName; takenAtMs: number; cost: BackupBody['cost']};
};

/** In the order of their names. */
export async function collectionStandings(vault: VaultReader): Promise<readonly CollectionStanding[]> {
  const folders = await readAllFolders(vault);
  if (folders.length === 0) return [];
  const standings: CollectionStanding[] = [];
  const survey = await vault.survey();
  for (const {prefix, newest: definition, damage, backups} of folders) {
    if (damage === undefined && (definition === undefined || definition.dropped !== undefined)) continue;
    standings.push(await standing(vault, survey, {name: definition?.name ?? nameInPrefix(prefix) ?? prefix, backups}));
  }
  return standings.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function standing(
  vault: VaultReader,
  survey: Survey,
  {name, backups}: {name: string; backups: readonly BackupName[]},
): Promise<CollectionStanding> {
  const found: CollectionStanding = {name, backups: backups.length, unreadable: 0};
  for (const backup of backups.toReversed()) {
    const read = await unlessUnreadable(readBackup(vault, name, backup));
    if (read === undefined || (await survey.faultOf(read.streams, {skipLists: true})) !== undefined)
      found.unreadable += 1;
    else found.newest ??= {name: backup, takenAtMs: takenAtMs(read.body), cost: read.body.cost};
  }
  return found;
}
