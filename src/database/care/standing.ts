import {unlessUnreadable} from '../../backups/index.ts';
import type {Survey, VaultReader} from '../../vault/index.ts';
import {type Instance, listInstances} from '../stored/instance.ts';
import {readDatabaseBackup} from '../stored/manifest.ts';

/** How one database's line of backups stands, by what listings and its manifests tell: no data are read. */
export type DatabaseStanding = {
  instance: string;
  backups: number;
  /** Backups whose manifest is missing or damaged, or that need what is gone or was found damaged. */
  unreadable: number;
  /** Absent without a good backup. Good: nothing of the kind is known of it. VERIFY alone reads its data. */
  newest?: {takenAtMicros: number; logicalBytes: number; storedBytes: number};
};

/** In the order of their names. */
export async function databaseStandings(vault: VaultReader): Promise<readonly DatabaseStanding[]> {
  const instances = await listInstances(vault);
  if (instances.length === 0) return [];
  const survey = await vault.survey();
  const standings = await Promise.all(instances.map((instance) => standing(vault, survey, instance)));
  return standings.sort((a, b) => (a.instance < b.instance ? -1 : 1));
}

async function standing(
  vault: VaultReader,
  survey: Survey,
  {name: instance, backups}: Instance,
): Promise<DatabaseStanding> {
  const found: DatabaseStanding = {instance, backups: backups.length, unreadable: 0};
  for (const backup of backups.toReversed()) {
    const read = await unlessUnreadable(readDatabaseBackup(vault, instance, backup));
    const fault = read && (await survey.faultOf([read.data, read.list], {skipLists: true}));
    if (read === undefined || fault !== undefined) {
      found.unreadable += 1;
      continue;
    }
    const {takenAtMicros, bytes, cost} = read.body;
    found.newest ??= {takenAtMicros, logicalBytes: bytes, storedBytes: cost.storedBytes};
  }
  return found;
}
