import {type DrillFacts, drillFacts, type LineStanding, lineStanding} from '../../backups/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {examineDatabaseBackup} from '../stored/examine.ts';
import {listInstances} from '../stored/instance.ts';
import type {DatabaseBackup} from '../stored/manifest.ts';

type Known = {takenAtMicros: number; logicalBytes: number; storedBytes: number};

/** How one database's backups stand, by listings, manifests and the ledger alone: no data is read. */
export type DatabaseStanding = LineStanding<Known> &
  DrillFacts & {
    instance: string;
  };

/** Sorted by instance. */
export async function databaseStandings(vault: VaultReader): Promise<readonly DatabaseStanding[]> {
  const instances = await listInstances(vault);
  if (instances.length === 0) return [];
  const survey = await vault.survey();
  const standings = await Promise.all(
    instances.map(async ({name: instance, backups, reports}): Promise<DatabaseStanding> => {
      const {newest, newestVerified, ...line} = await lineStanding(
        backups,
        (backup) => examineDatabaseBackup(vault, survey, {instance, backup}),
        ({data, list}) => survey.verifiedMs([data, list]),
      );
      return {
        instance,
        ...line,
        ...drillFacts(reports),
        ...(newest === undefined ? {} : {newest: knownOf(newest)}),
        ...(newestVerified === undefined
          ? {}
          : {newestVerified: {...newestVerified, backup: knownOf(newestVerified.backup)}}),
      };
    }),
  );
  return standings.sort((a, b) => (a.instance < b.instance ? -1 : 1));
}

function knownOf({body}: DatabaseBackup): Known {
  const {takenAtMicros, bytes, cost} = body;
  return {takenAtMicros, logicalBytes: bytes, storedBytes: cost.storedBytes};
}
