import {assert, BkpError} from '../../errors/index.ts';
import type {BaseSegment, DeltaStream, Segment, Snapshot, TableName} from '../../sources/index.ts';
import type {ChunkId, Piece, VaultReader, VaultWriter} from '../../vault/index.ts';
import type {Backup, Layer, SegmentStream} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {chunksOfSegment} from '../stored/segments.ts';
import type {StreamTable} from './stream-table.ts';

/** Larger segments are stored as several chunks, because memory holds several copies of a chunk's bytes. */
const largestPieceBytes = 8 * 1024 * 1024;

/** Where layers are written. `observe` is called with the plain bytes of each segment. */
export type LayerSink = {
  writer: VaultWriter;
  streams: StreamTable;
  backup: BackupName;
  observe: (bytes: number) => void;
};

/** The base of the same table in an earlier backup: its cuts, and the chunks of each segment. */
export type PreviousBase = {cuts: string; chunksOf: readonly (readonly ChunkId[])[]};

export async function readPreviousBase(
  vault: VaultReader,
  backup: Backup,
  table: TableName,
): Promise<PreviousBase | undefined> {
  const layer = backup.body.tables.find((entry) => entry.schema.name === table)?.layers[0];
  if (layer?.kind !== 'base') return undefined;
  const cuts = Buffer.concat(await collect(vault.read(backup.streams[layer.cuts]!)));
  const ids = await vault.chunkIds(backup.streams[layer.data.stream]!);
  const chunksOf: (readonly ChunkId[])[] = [];
  let at = 0;
  for (let segment = 0; segment < layer.data.segments; segment++) {
    const count = chunksOfSegment(layer.data, segment);
    chunksOf.push(ids.slice(at, at + count));
    at += count;
  }
  return {cuts: cuts.toString('utf8'), chunksOf};
}

export async function writeBase(
  sink: LayerSink,
  snapshot: Snapshot,
  table: TableName,
  previous: PreviousBase | undefined,
): Promise<Layer> {
  const taken = await snapshot.base(table, {form: 'rows', previous: previous && new Map([[table, previous.cuts]])});
  assert(taken.form === 'rows', 'rows were asked for');
  const {rows: base} = taken;
  const data = await writeSegments(sink, base, (segment: BaseSegment, piece) =>
    segment.previous === undefined ? undefined : previous?.chunksOf[segment.previous]?.[piece],
  );
  const counted = await snapshot.countRows(table);
  if (counted !== data.rows) {
    // Some range was read twice or not at all: such a backup must not be committed.
    throw new BkpError('SOURCE_DAMAGED', `table ${table} has ${counted} rows, and ${data.rows} were read`, {
      next: 'check the database (PRAGMA integrity_check): an index that disagrees with its table does this',
      context: {table},
    });
  }
  const cuts = sink.streams.add(await sink.writer.write([{bytes: Buffer.from(base.cuts(), 'utf8')}]));
  return {kind: 'base', backup: sink.backup, rows: data.rows, data: data.stream, cuts};
}

/** @returns undefined if no row changed: an empty delta is not stored */
export async function writeDelta(sink: LayerSink, delta: DeltaStream): Promise<Layer | undefined> {
  const keys = await writeSegments(sink, delta.keys);
  const rows = await writeSegments(sink, delta.rows);
  if (keys.rows === 0) return undefined;
  return {
    kind: 'delta',
    backup: sink.backup,
    keys: keys.rows,
    rows: rows.rows,
    keyData: keys.stream,
    rowData: rows.stream,
  };
}

type Written = {stream: SegmentStream; rows: number};

async function writeSegments<S extends Segment>(
  sink: LayerSink,
  segments: AsyncIterable<S>,
  likeOf: (segment: S, piece: number) => ChunkId | undefined = () => undefined,
): Promise<Written> {
  const wide: Record<string, number> = {};
  let count = 0;
  let rows = 0;
  async function* pieces(): AsyncGenerator<Piece> {
    for await (const segment of segments) {
      const parts = Math.max(1, Math.ceil(segment.bytes.byteLength / largestPieceBytes));
      for (let part = 0; part < parts; part++) {
        const like = likeOf(segment, part);
        const bytes = segment.bytes.subarray(part * largestPieceBytes, (part + 1) * largestPieceBytes);
        yield like === undefined ? {bytes} : {bytes, like};
      }
      if (parts > 1) wide[count] = parts;
      count++;
      rows += segment.rows;
      sink.observe(segment.bytes.byteLength);
    }
  }
  const stream = sink.streams.add(await sink.writer.write(pieces()));
  const data = {stream, segments: count};
  return {stream: Object.keys(wide).length === 0 ? data : {...data, wide}, rows};
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}
