import type {Meter} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {
  type BaseCuts,
  type KeyCondition,
  openScratch,
  type ScratchTables,
  type TableName,
  type WantedRows,
} from '../../sources/index.ts';
import type {ChunkId} from '../../vault/index.ts';
import {loadLayer} from '../restore/load-layer.ts';
import {basesOf, recordsBaseOf} from '../stored/layers.ts';
import type {TableBackup} from '../stored/manifest.ts';
import {dataOf, readCuts, readTreeCuts, segmentChunks, type TableData} from './base.ts';
import {namingDamage, type OpenedBackup} from './opened.ts';

/** A table that is to be loaded. */
export type TableToRead = {
  table: TableBackup;
  /** Positions of the segments of its base; absent: all of them. */
  segments?: readonly number[] | undefined;
};

/**
 * Creates the file, with empty tables.
 * @param options.changes whether changes follow the layers. Default false
 */
export function createScratch(
  {backup}: OpenedBackup,
  tables: readonly TableBackup[],
  {path, changes = false}: {path: string; changes?: boolean},
): Promise<ScratchTables> {
  const {description, database} = backup.body.source;
  return openScratch(description, {
    path,
    schemas: tables.map(({schema}) => schema),
    database,
    bases: basesOf(tables, {changes}),
  });
}

/**
 * The segments of a table's base that hold the rows for which any of these groups of conditions holds.
 * @param conditions of each place where a statement reads the table; a place without conditions reads all rows
 * @returns undefined: all of them
 */
export async function segmentsFor(
  opened: OpenedBackup,
  {scratch, table, signal}: {scratch: ScratchTables; table: TableBackup; signal: AbortSignal},
  conditions: readonly (readonly KeyCondition[])[],
): Promise<readonly number[] | undefined> {
  const {schema} = table;
  if (conditions.some((group) => group.length === 0)) return undefined;
  const cuts = await namingDamage(opened, schema.name, () =>
    readCuts(opened.vault, opened.backup, dataOf(table), signal),
  );
  const wanted = new Set<number>();
  for (const group of conditions) {
    const found =
      scratch.segmentsWhere(schema.name, cuts, group) ??
      (await namingDamage(opened, schema.name, () =>
        throughIndex(opened, {scratch, table, signal, cuts, most: mostEntries}, {conditions: group}),
      ));
    if (found === undefined) return undefined;
    for (const at of found) wanted.add(at);
  }
  return [...wanted].sort((a, b) => a - b);
}

/** From this many segments of an index on, the rows are probably all over the table. */
const mostEntries = 4;

/**
 * The segments of a table's base that hold the wanted rows, if an index says which these are.
 * @param of.most read no more segments of an index than this
 * @returns undefined: all of them
 */
export async function throughIndex(
  {vault, backup}: Pick<OpenedBackup, 'vault' | 'backup'>,
  of: {scratch: ScratchTables; table: TableBackup; signal: AbortSignal; cuts: BaseCuts; most: number},
  wanted: WantedRows,
): Promise<readonly number[] | undefined> {
  const {scratch, table, signal, cuts, most} = of;
  const {name} = table.schema;
  for (const tree of recordsBaseOf(table.layers)?.trees.slice(1) ?? []) {
    const {fingerprint} = tree;
    // Keys are found by the index of their constraint alone.
    if (fingerprint !== undefined && !('conditions' in wanted)) continue;
    const index = {name: tree.name, fingerprint, ...(await readTreeCuts(vault, backup, tree, signal))};
    const positions = scratch.entriesOf(name, index, wanted);
    if (positions === undefined || positions.length > most) continue;
    if (fingerprint !== undefined && !savesRows(positions.length, cuts.segments)) continue;
    const all = await vault.chunkIds(backup.streams[tree.data.stream]!);
    const entries: Uint8Array[] = [];
    const ids = positions.map((at) => all[at]!);
    for await (const chunk of vault.readChunks(ids, {signal})) entries.push(chunk);
    const found = scratch.segmentsOfEntries(name, cuts, {...index, entries}, wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Whether an index that need not be unique probably saves more than reading its entries costs: an entry takes about as
 * long as a row, and where equal ones fill more than two segments, their rows are all over the table.
 */
const savesRows = (entries: number, rows: number) => entries <= 2 && rows >= 4 * entries;

/** Plain bytes that {@link loadTables} reads, approximately where only some segments are wanted. */
export function bytesOf({backup: {streams}}: OpenedBackup, wanted: readonly TableToRead[]): number {
  return wanted.reduce((sum, {table, segments}) => {
    const {data} = dataOf(table);
    const part = segments === undefined || data.segments === 0 ? 1 : segments.length / data.segments;
    const deltas = table.layers.flatMap((layer) => (layer.kind === 'delta' ? [layer.keyData, layer.rowData] : []));
    const ofDeltas = deltas.reduce((total, {stream}) => total + streams[stream]!.sizeBytes, 0);
    return sum + Math.ceil(streams[data.stream]!.sizeBytes * part) + ofDeltas;
  }, 0);
}

/**
 * Loads bases and deltas, and makes the file readable.
 * @param changes applies what follows the backup
 * @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING` naming backup and table: never fewer rows
 */
export async function loadTables(
  opened: OpenedBackup,
  {scratch, meter, signal}: {scratch: ScratchTables; meter: Meter; signal: AbortSignal},
  wanted: readonly TableToRead[],
  changes: () => Promise<void> = async () => {},
): Promise<void> {
  const {vault, backup} = opened;
  for (const {table, segments} of wanted) {
    const {name} = table.schema;
    const base = dataOf(table);
    const {tree} = base;
    if (tree === undefined) continue;
    await namingDamage(opened, name, async () => {
      const {kind, fingerprint} = tree;
      const records = segments === undefined ? {records: tree.records} : {};
      const chunks = await chunksOf(opened, base, segments);
      await scratch.loadTree(name, {name: tree.name, kind, fingerprint, ...records}, counted(chunks));
    });
  }
  for (const {table, segments} of wanted) {
    const {name} = table.schema;
    await namingDamage(opened, name, async () => {
      const base = dataOf(table);
      if (base.tree === undefined) await loadRows(base, name, segments);
      for (const layer of table.layers) {
        if (layer.kind === 'delta') await loadLayer({vault, staging: scratch, meter, signal}, backup, name, layer);
      }
    });
    meter.item();
  }
  await changes();
  await scratch.finish({signal});

  /** One chunk is one segment of records. */
  async function* counted(chunks: readonly (readonly ChunkId[])[]) {
    for await (const chunk of vault.readChunks(chunks.flat(), {signal, borrowed: true})) {
      const {byteLength} = chunk;
      yield chunk;
      meter.bytes(byteLength);
    }
  }

  async function loadRows(base: TableData, name: TableName, segments: readonly number[] | undefined): Promise<void> {
    const lengths = await chunksOf(opened, base, segments);
    let rows = 0;
    for await (const segment of joined(vault.readChunks(lengths.flat(), {signal}), lengths)) {
      rows += await scratch.load(name, segment);
      meter.bytes(segment.byteLength);
    }
    if (segments !== undefined || rows === base.rows) return;
    throw new BkpError('OBJECT_DAMAGED', `its base contains ${rows} rows instead of ${base.rows}`);
  }
}

async function chunksOf(
  {vault, backup}: OpenedBackup,
  base: TableData,
  segments: readonly number[] | undefined,
): Promise<readonly (readonly ChunkId[])[]> {
  const all = await segmentChunks(vault, backup, base);
  return segments === undefined ? all : segments.map((at) => all[at]!);
}

/** Joins the chunks of each segment. */
async function* joined(
  chunks: AsyncIterable<Uint8Array>,
  segments: readonly (readonly ChunkId[])[],
): AsyncGenerator<Uint8Array> {
  let at = 0;
  let parts: Uint8Array[] = [];
  for await (const chunk of chunks) {
    parts.push(chunk);
    if (parts.length < segments[at]!.length) continue;
    yield parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    parts = [];
    at++;
  }
}
