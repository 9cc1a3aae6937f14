import {readableChunkIds} from '../../backups/index.ts';
import type {BkpError} from '../../errors/index.ts';
import type {ChunkId, Survey, VaultReader} from '../../vault/index.ts';
import {recordsBaseOf, type SegmentStream} from '../stored/layers.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';
import type {RestoredParts} from './choice.ts';

/** Something that a backup asks for and its restore cannot bring. */
export type MissingPart = {name: string; why: string};

/**
 * What a restore can bring. `parts` lacks the damaged tables, and the bases of the others lack the damaged trees of
 * indexes, which are built from the rows.
 */
export type Intact = {parts: RestoredParts; missing: readonly MissingPart[]; rebuilt: readonly string[]};

/**
 * Reads and checks everything that the restore of these parts of the backup needs.
 * @param options.progress stored bytes
 */
export async function intactParts(
  vault: VaultReader,
  {streams}: Pick<Backup, 'streams'>,
  parts: RestoredParts,
  options: {signal: AbortSignal; progress: (bytesDone: number, bytesTotal: number) => void},
): Promise<Intact> {
  // Copies on this machine prove nothing about the store.
  const {findings} = await vault.uncached().verify(
    parts.tables.flatMap(({backup}) => dataOf(backup).map(({stream}) => streams[stream]!)),
    {level: 'data', ...options},
  );
  const faults = new Map<ChunkId, string>();
  for (const {chunk, needed = [], detail} of findings) {
    for (const id of chunk === undefined ? needed : [chunk]) faults.set(id, detail);
  }
  const faultOf = async ({stream}: {stream: number}): Promise<string | undefined> => {
    if (faults.size === 0) return undefined;
    const ids = await readableChunkIds(vault, streams[stream]!);
    return ids.map((id) => faults.get(id)).find((fault) => fault !== undefined);
  };
  return withoutFaults(parts, faultOf);
}

/**
 * What a restore can bring as far as a listing of the store shows, without reading data: objects that are missing.
 * @returns `doubtful`: tables that need an object in which a VERIFY found damage, which may be elsewhere in it
 */
export async function knownIntact(
  survey: Pick<Survey, 'faultOf'>,
  {streams}: Pick<Backup, 'streams'>,
  parts: RestoredParts,
): Promise<Intact & {doubtful: readonly MissingPart[]}> {
  const known = async ({stream}: {stream: number}, code: 'OBJECT_MISSING' | 'OBJECT_DAMAGED') => {
    const fault = await survey.faultOf([streams[stream]!]);
    return fault?.code === code ? fault.message : undefined;
  };
  const intact = await withoutFaults(parts, (part) => known(part, 'OBJECT_MISSING'));
  const doubtful: MissingPart[] = [];
  for (const {backup, chosen} of intact.parts.tables) {
    const why = await firstFault(rowsOf(backup), (part) => known(part, 'OBJECT_DAMAGED'));
    if (why !== undefined) doubtful.push({name: chosen.name, why});
  }
  return {...intact, doubtful};
}

/** Leaves out the tables whose rows have a fault, and the trees of indexes that have one. */
async function withoutFaults(
  parts: RestoredParts,
  faultOf: (part: {stream: number}) => Promise<string | undefined>,
): Promise<Intact> {
  const tables: RestoredParts['tables'][number][] = [];
  const missing: MissingPart[] = [];
  const rebuilt: string[] = [];
  for (const {backup, chosen} of parts.tables) {
    const why = await firstFault(rowsOf(backup), faultOf);
    if (why !== undefined) {
      missing.push({name: chosen.name, why});
      continue;
    }
    const bad = new Set<string>();
    for (const {name, data} of indexTreesOf(backup)) if ((await faultOf(data)) !== undefined) bad.add(name);
    rebuilt.push(...bad);
    tables.push({backup: withoutTrees(backup, bad), chosen});
  }
  return {parts: {...parts, tables}, missing, rebuilt};
}

/** The same parts without the table that an error is about. @returns undefined if it names none of them */
export function withoutNamed(parts: RestoredParts, error: BkpError): Intact | undefined {
  const named = error.context.table;
  const tables = parts.tables.filter(({backup}) => backup.schema.name !== named);
  if (tables.length === parts.tables.length) return undefined;
  const why = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
  return {parts: {...parts, tables}, missing: [{name: String(named), why}], rebuilt: []};
}

/** What the restore of a table reads. */
function dataOf(table: TableBackup): readonly {stream: number}[] {
  return [...rowsOf(table), ...indexTreesOf(table).map(({data}) => data)];
}

/** What the rows of a table are made of. */
function rowsOf({layers}: TableBackup): readonly (SegmentStream | {stream: number})[] {
  return layers.flatMap((layer) => {
    if (layer.kind === 'delta') return [layer.keyData, layer.rowData];
    return layer.form === 'records' ? [layer.trees[0]!.data] : [layer.data];
  });
}

function indexTreesOf({layers}: TableBackup) {
  return recordsBaseOf(layers)?.trees.slice(1) ?? [];
}

function withoutTrees(table: TableBackup, names: ReadonlySet<string>): TableBackup {
  if (names.size === 0) return table;
  return {
    ...table,
    layers: table.layers.map((layer) =>
      layer.kind === 'base' && layer.form === 'records'
        ? {...layer, trees: layer.trees.filter(({name}) => !names.has(name))}
        : layer,
    ),
  };
}

async function firstFault<T>(
  parts: readonly T[],
  faultOf: (part: T) => Promise<string | undefined>,
): Promise<string | undefined> {
  for (const part of parts) {
    const fault = await faultOf(part);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
