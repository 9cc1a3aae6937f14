import {BkpError} from '../../errors/index.ts';
import type {BaseCuts} from '../../sources/index.ts';
import type {ChunkId, Recipe, VaultReader} from '../../vault/index.ts';
import {
  type RowsBase,
  recordsBaseOf,
  type SegmentStream,
  type StreamIndex,
  type TreeRecords,
} from '../stored/layers.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';
import {chunksOfSegment} from '../stored/segments.ts';

/** The base of a table as it is read: its rows, or the records of the table's own tree. */
export type TableData = {
  data: SegmentStream;
  cuts: StreamIndex;
  rows: number;
  /** Absent for a base of rows. */
  tree: TreeRecords | undefined;
};

export function dataOf({layers}: TableBackup): TableData {
  const tree = recordsBaseOf(layers)?.trees[0];
  if (tree !== undefined) return {data: tree.data, cuts: tree.cuts, rows: tree.records, tree};
  const {data, cuts, rows} = layers[0] as RowsBase;
  return {data, cuts, rows, tree: undefined};
}

export const formOf = ({tree}: TableData): BaseCuts['form'] => (tree === undefined ? 'rows' : 'records');

/** The chunks of each segment of the base. Equal chunks are equal rows, if the tables have one fingerprint. */
export async function segmentChunks(
  vault: VaultReader,
  {streams}: Backup,
  {data}: TableData,
): Promise<readonly (readonly ChunkId[])[]> {
  const chunks = await vault.chunkIds(streams[data.stream]!);
  const segments: (readonly ChunkId[])[] = [];
  let at = 0;
  for (let segment = 0; segment < data.segments; segment++) {
    const count = chunksOfSegment(data, segment);
    segments.push(chunks.slice(at, at + count));
    at += count;
  }
  if (at === chunks.length) return segments;
  throw new BkpError('OBJECT_DAMAGED', `its base has ${chunks.length} chunks instead of ${at}`);
}

export async function readCuts(
  vault: VaultReader,
  {streams}: Backup,
  base: TableData,
  signal: AbortSignal,
): Promise<BaseCuts> {
  const cuts = await textOf(vault, streams[base.cuts]!, signal);
  return {form: formOf(base), cuts, segments: base.data.segments};
}

/** Those of an index. */
export async function readTreeCuts(
  vault: VaultReader,
  {streams}: Backup,
  {cuts, data}: TreeRecords,
  signal: AbortSignal,
): Promise<{cuts: string; segments: number}> {
  return {cuts: await textOf(vault, streams[cuts]!, signal), segments: data.segments};
}

async function textOf(vault: VaultReader, recipe: Recipe, signal: AbortSignal): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of vault.read(recipe, {signal})) parts.push(part);
  return Buffer.concat(parts).toString();
}
