import {type LineStanding, lineStanding} from '../../backups/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {examineBackup} from '../stored/examine.ts';
import {isLiving, readAllFolders} from '../stored/folder.ts';
import {type BackupCost, takenAtMs} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

/** How a living collection's backups stand, by listings, its definition and its manifests alone: no data is read. */
export type CollectionStanding = LineStanding<{name: BackupName; takenAtMs: number; cost: BackupCost}> & {name: string};

/** Sorted by name. */
export async function collectionStandings(vault: VaultReader): Promise<readonly CollectionStanding[]> {
  const folders = (await readAllFolders(vault)).filter(isLiving);
  if (folders.length === 0) return [];
  const survey = await vault.survey();
  const standings: CollectionStanding[] = [];
  for (const {name, backups} of folders) {
    const {newest, ...line} = await lineStanding(backups, (backup) =>
      examineBackup(vault, survey, {collection: name, backup, skipLists: true}),
    );
    if (newest === undefined) standings.push({name, ...line});
    else {
      const {body} = newest;
      standings.push({name, ...line, newest: {name: body.backup, takenAtMs: takenAtMs(body), cost: body.cost}});
    }
  }
  return standings.sort((a, b) => (a.name < b.name ? -1 : 1));
}
