import {type DrillFacts, drillFacts, type LineStanding, lineStanding} from '../../backups/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {examineBackup} from '../stored/examine.ts';
import {isLiving, readAllFolders} from '../stored/folder.ts';
import {type Backup, type BackupCost, takenAtMs} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

type Known = {name: BackupName; takenAtMs: number; cost: BackupCost};

/**
 * How a living collection's backups stand, by listings, its definition, its manifests and the ledger alone: no data is
 * read.
 */
export type CollectionStanding = LineStanding<Known> &
  DrillFacts & {
    name: string;
  };

/** Sorted by name. */
export async function collectionStandings(vault: VaultReader): Promise<readonly CollectionStanding[]> {
  const folders = (await readAllFolders(vault)).filter(isLiving);
  if (folders.length === 0) return [];
  const survey = await vault.survey();
  const standings: CollectionStanding[] = [];
  for (const {name, backups, reports} of folders) {
    const {newest, newestVerified, ...line} = await lineStanding(
      backups,
      (backup) => examineBackup(vault, survey, {collection: name, backup, skipLists: true}),
      ({streams}) => survey.verifiedMs(streams),
    );
    standings.push({
      name,
      ...line,
      ...(newest === undefined ? {} : {newest: knownOf(newest)}),
      ...(newestVerified === undefined
        ? {}
        : {newestVerified: {...newestVerified, backup: knownOf(newestVerified.backup)}}),
      ...drillFacts(reports),
    });
  }
  return standings.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const knownOf = ({body}: Backup): Known => ({name: body.backup, takenAtMs: takenAtMs(body), cost: body.cost});
