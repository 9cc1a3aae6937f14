import type {DeltaStream, Segment} from '../../sources/index.ts';
import type {ChunkId, Piece, VaultWriter} from '../../vault/index.ts';
import type {Delta, SegmentStream} from '../stored/layers.ts';
import type {BackupName} from '../stored/names.ts';
import type {StreamTable} from './stream-table.ts';

/** Larger segments are stored as several chunks, because memory holds several copies of a chunk's bytes. */
const largestPieceBytes = 8 * 1024 * 1024;

const noBytes = new Uint8Array();

/** Where layers are written. `observe` is called with the plain bytes of each segment. */
export type LayerSink = {
  writer: VaultWriter;
  streams: StreamTable;
  backup: BackupName;
  observe: (bytes: number) => void;
};

/** A segment whose memory is used again after `release`. */
type Lent = Segment & {release?: (() => void) | undefined; isUnchanged?: true};

export type WriteOptions<S> = {
  /** The chunk that a piece of the segment probably resembles. */
  likeOf?: (segment: S, piece: number) => ChunkId | undefined;
  /** The chunks of a segment that is unchanged. */
  keptOf?: (segment: S) => readonly ChunkId[];
  /** What the segments are made of, if they are records: then each one is a single chunk. */
  records?: Piece['records'];
};

/** @returns undefined if no row changed: an empty delta is not stored */
export async function writeDelta(sink: LayerSink, delta: DeltaStream): Promise<Delta | undefined> {
  const keys = await writeSegments(sink, delta.keys);
  const rows = await writeSegments(sink, delta.rows);
  if (keys.rows === 0) return undefined;
  return {
    kind: 'delta',
    backup: sink.backup,
    keys: keys.rows,
    rows: rows.rows,
    keyData: keys.data,
    rowData: rows.data,
  };
}

/**
 * Writes the segments as one stream. If reading them fails, this fails with the same error once the vault has taken
 * over those before, so that every segment is released.
 * @returns `rows`: of all segments
 */
export async function writeSegments<S extends Lent>(
  sink: LayerSink,
  segments: AsyncIterable<S>,
  {likeOf = () => undefined, keptOf = () => [], records}: WriteOptions<S> = {},
): Promise<{data: SegmentStream; rows: number}> {
  const wide: Record<string, number> = {};
  let count = 0;
  let rows = 0;
  const failures: unknown[] = [];
  async function* pieces(): AsyncGenerator<Piece> {
    try {
      for await (const segment of segments) {
        if (segment.isUnchanged) {
          const kept = keptOf(segment);
          if (kept.length > 1) wide[count] = kept.length;
          count++;
          rows += segment.rows;
          for (const id of kept) yield {bytes: noBytes, kept: id};
          sink.observe(kept.reduce((sum, id) => sum + (sink.writer.keptBytes(id) ?? 0), 0));
          continue;
        }
        // The memory of the segment may belong to its source again once its last piece was yielded.
        const {byteLength} = segment.bytes;
        const pieceBytes = records === undefined ? largestPieceBytes : byteLength;
        const parts = Math.max(1, Math.ceil(byteLength / pieceBytes));
        if (parts > 1) wide[count] = parts;
        count++;
        rows += segment.rows;
        for (let part = 0; part < parts; part++) {
          yield {
            bytes: segment.bytes.subarray(part * pieceBytes, (part + 1) * pieceBytes),
            like: likeOf(segment, part),
            records,
            release: part === parts - 1 ? segment.release : undefined,
          };
        }
        sink.observe(byteLength);
      }
    } catch (error) {
      failures.push(error);
    }
  }
  const recipe = await sink.writer.write(pieces());
  if (failures.length > 0) throw failures[0];
  const data = {stream: sink.streams.add(recipe), segments: count};
  return {data: Object.keys(wide).length === 0 ? data : {...data, wide}, rows};
}
