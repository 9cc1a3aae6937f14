import type {Cuts, Mark, TableName} from '../../sources/index.ts';
import type {ChunkId, Recipe, VaultReader} from '../../vault/index.ts';
import type {SegmentStream, StreamIndex} from '../stored/layers.ts';
import type {Backup} from '../stored/manifest.ts';
import {chunksOfSegment} from '../stored/segments.ts';

/** A tree, or the rows of a table, in an earlier backup: its cuts, and the chunks of each segment. */
export type PreviousTree = {cuts: Cuts; chunksOf: readonly (readonly ChunkId[])[]};

/** The base of a table in an earlier backup. Rows are under the name of the table. */
export type PreviousBase = {
  form: 'rows' | 'records';
  trees: ReadonlyMap<string, PreviousTree>;
  /** Of the backup that it was read from. */
  mark: Mark | undefined;
};

/** @returns undefined if the backup does not have the table */
export async function readPreviousBase(
  vault: VaultReader,
  {body, streams}: Backup,
  table: TableName,
): Promise<PreviousBase | undefined> {
  const base = body.tables.find(({schema}) => schema.name === table)?.layers[0];
  if (base?.kind !== 'base') return undefined;
  const {form = 'rows'} = base;
  const stored = base.form === 'records' ? base.trees : [{name: table, data: base.data, cuts: base.cuts}];
  const trees = new Map<string, PreviousTree>();
  for (const {name, data, cuts} of stored) trees.set(name, await readTree(vault, streams, data, cuts));
  return {form, trees, mark: body.mark};
}

async function readTree(
  vault: VaultReader,
  streams: readonly Recipe[],
  data: SegmentStream,
  cuts: StreamIndex,
): Promise<PreviousTree> {
  const parts: Uint8Array[] = [];
  for await (const part of vault.read(streams[cuts]!)) parts.push(part);
  const ids = await vault.chunkIds(streams[data.stream]!);
  const chunksOf: (readonly ChunkId[])[] = [];
  let at = 0;
  for (let segment = 0; segment < data.segments; segment++) {
    const count = chunksOfSegment(data, segment);
    chunksOf.push(ids.slice(at, at + count));
    at += count;
  }
  return {cuts: Buffer.concat(parts).toString('utf8'), chunksOf};
}

/** @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING` */
export async function readPreviousSegment(
  vault: VaultReader,
  {chunksOf}: PreviousTree,
  segment: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of vault.readChunks(chunksOf[segment]!)) parts.push(part);
  return Buffer.concat(parts);
}
