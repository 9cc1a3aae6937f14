import {type LineStanding, lineStanding} from '../../backups/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {examineDatabaseBackup} from '../stored/examine.ts';
import {listInstances} from '../stored/instance.ts';

/** How one database's backups stand, by listings and manifests alone: no data is read. */
export type DatabaseStanding = LineStanding<{takenAtMicros: number; logicalBytes: number; storedBytes: number}> & {
  instance: string;
};

/** Sorted by instance. */
export async function databaseStandings(vault: VaultReader): Promise<readonly DatabaseStanding[]> {
  const instances = await listInstances(vault);
  if (instances.length === 0) return [];
  const survey = await vault.survey();
  const standings = await Promise.all(
    instances.map(async ({name: instance, backups}): Promise<DatabaseStanding> => {
      const {newest, ...line} = await lineStanding(backups, (backup) =>
        examineDatabaseBackup(vault, survey, {instance, backup}),
      );
      if (newest === undefined) return {instance, ...line};
      const {takenAtMicros, bytes, cost} = newest.body;
      return {instance, ...line, newest: {takenAtMicros, logicalBytes: bytes, storedBytes: cost.storedBytes}};
    }),
  );
  return standings.sort((a, b) => (a.instance < b.instance ? -1 : 1));
}
