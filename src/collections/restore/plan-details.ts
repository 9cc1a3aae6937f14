import type {Choice, Incoming, MergeMode, TableSource, TargetFindings} from '../../sources/index.ts';
import type {Recipe, Survey, VaultReader} from '../../vault/index.ts';
import {basesOf, dataStreamsOf} from '../stored/layers.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';
import type {RestoredParts} from './choice.ts';
import {knownIntact, type MissingPart} from './damage.ts';
import {rebuiltNotice, withoutHalves} from './partial.ts';

export type PlanDetails = {
  /**
   * Bytes to read from the store. What tables share counts once. If something is missing, the restore reads more than
   * once: it finds out what is damaged before it begins again with the rest.
   */
  fetchBytes: number;
  /** Of a partial restore: what needs objects that are missing in the store. */
  missing: readonly MissingPart[];
  /** What does not come, what gets another name, what the target lacks; one sentence each. */
  notices: readonly string[];
};

/** Plain bytes of rows, keys and index entries of a table. */
export function bytesOf({streams}: Backup, {layers}: TableBackup): number {
  return layers.flatMap((layer) => dataStreamsOf(layer)).reduce((sum, stream) => sum + streams[stream]!.sizeBytes, 0);
}

export function incomingOf(backup: Backup, {tables, objects}: RestoredParts): Incoming {
  return {
    schemas: tables.map((table) => table.chosen.as ?? table.backup.schema),
    stored: tables.map((table) => table.backup.schema),
    objects,
    database: backup.body.source.database,
    bytes: tables.reduce((sum, table) => sum + bytesOf(backup, table.backup), 0),
  };
}

/**
 * @returns also the parts that come, as far as a listing of the store shows, and what a rehearsal met
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` for a known loss; of a partial restore if no table is left
 */
export async function detailsOf(
  {vault, source}: {vault: VaultReader; source: TableSource},
  of: {parts: RestoredParts; backup: Backup; choice?: Choice; mode?: MergeMode; partial?: boolean},
): Promise<{details: PlanDetails; parts: RestoredParts; obstacle?: TargetFindings['obstacle']}> {
  const {parts, backup, choice, mode, partial} = of;
  const survey = await vault.survey();
  const fault = await survey.faultOf(await recipesOf(source, backup, parts));
  if (fault !== undefined && partial !== true) throw fault;
  const left = fault === undefined ? undefined : await whatIsLeft({survey, source}, backup, parts);
  const coming = left?.parts ?? parts;
  if (fault !== undefined && coming.tables.length === 0) throw fault;
  const {notices, obstacle} = await source.survey(incomingOf(backup, coming), {rehearse: true, mode});
  return {
    ...(obstacle === undefined ? {} : {obstacle}),
    parts: coming,
    details: {
      fetchBytes: await vault.storedBytes(await recipesOf(source, backup, coming)),
      missing: left?.missing ?? [],
      notices: [...(left?.notices ?? []), ...(choice?.notices ?? []), ...notices],
    },
  };
}

/** What a restore of these parts reads. */
export async function recipesOf(
  source: Pick<TableSource, 'treesToLoad'>,
  {streams}: Backup,
  {tables}: RestoredParts,
): Promise<readonly Recipe[]> {
  const bases = basesOf(tables.map(({backup}) => backup));
  const schemas = tables.map(({backup}) => backup.schema);
  const loaded = await source.treesToLoad?.(schemas, bases);
  const read = tables.flatMap(({backup: {schema, layers}}) => {
    const trees = loaded?.get(schema.name);
    return layers.flatMap((layer) => dataStreamsOf(layer, trees));
  });
  return read.map((stream) => streams[stream]!);
}

async function whatIsLeft(
  {survey, source}: {survey: Pick<Survey, 'faultOf'>; source: TableSource},
  backup: Backup,
  parts: RestoredParts,
): Promise<{parts: RestoredParts; missing: readonly MissingPart[]; notices: readonly string[]}> {
  const known = await knownIntact(survey, backup, parts);
  const left = await withoutHalves(source, backup, known);
  return {
    ...left,
    notices: [
      ...left.missing.map(({name, why}) => `${name} cannot come: ${why}`),
      ...known.doubtful.map(({name, why}) => `${name} may be missing: ${why}`),
      ...known.rebuilt.map(rebuiltNotice),
    ],
  };
}
