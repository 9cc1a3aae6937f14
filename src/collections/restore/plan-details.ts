import type {Choice, Incoming, TableSource} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {dataStreamsOf} from '../stored/layers.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';
import type {RestoredParts} from './choice.ts';

export type PlanDetails = {
  /** Bytes to read from the store. What tables share counts once. */
  fetchBytes: number;
  /** What does not come, what gets another name, what the target lacks; one sentence each. */
  notices: readonly string[];
};

/** Plain bytes of rows, keys and index entries of a table. */
export function bytesOf({streams}: Backup, {layers}: TableBackup): number {
  return layers.flatMap(dataStreamsOf).reduce((sum, stream) => sum + streams[stream]!.sizeBytes, 0);
}

export function incomingOf(backup: Backup, {tables, objects}: RestoredParts): Incoming {
  return {
    schemas: tables.map((table) => table.chosen.as ?? table.backup.schema),
    objects,
    database: backup.body.source.database,
    bytes: tables.reduce((sum, table) => sum + bytesOf(backup, table.backup), 0),
  };
}

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` for a known loss, unless the plan is for what is left */
export async function detailsOf(
  {vault, source}: {vault: VaultReader; source: TableSource},
  {parts, backup, choice, partial}: {parts: RestoredParts; backup: Backup; choice?: Choice; partial?: boolean},
): Promise<PlanDetails> {
  const data = parts.tables.flatMap((table) => table.backup.layers.flatMap(dataStreamsOf));
  const recipes = data.map((stream) => backup.streams[stream]!);
  const fault = await (await vault.survey()).faultOf(recipes);
  if (fault !== undefined && partial !== true) throw fault;
  const {notices} = await source.survey(incomingOf(backup, parts), {rehearse: true});
  return {
    fetchBytes: await vault.storedBytes(recipes),
    notices: [
      ...(fault === undefined ? [] : [`not everything can come: ${fault.message}`]),
      ...(choice?.notices ?? []),
      ...notices,
    ],
  };
}
