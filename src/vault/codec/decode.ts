import {assert, unreachable} from '../../errors/index.ts';
import {free} from '../../lib/memory.ts';
import {type ChunkEncoding, chunkEncodings} from '../format/entry.ts';
import {chunkId} from '../format/hash.ts';
import {decompress, decompressNow} from '../format/zstd.ts';
import type {ChunkId} from '../types.ts';
import {filterBytes, readFilterHeader, undoFilter} from './filter.ts';

export type Decodable = {id: ChunkId; plainBytes: number; encoding: ChunkEncoding};

/**
 * The plain bytes of a chunk, checked against its id.
 * @param base plain bytes of the base; required with `zstdWithBase`
 * @throws Error with a cause in words if the stored bytes are not this chunk's; the caller knows where they came from
 */
export async function decodeChunk(chunk: Decodable, stored: Uint8Array, base?: Uint8Array): Promise<Uint8Array> {
  const {frame, dictionary} = frameOf(chunk, stored, base);
  let plain = stored;
  if (frame !== undefined) plain = await decompress(frame, chunk.plainBytes, dictionary);
  if (chunk.encoding === chunkEncodings.zstdOfFiltered) {
    const filtered = plain;
    plain = Buffer.allocUnsafeSlow(filtered.length);
    undoFilter(filtered, readFilterHeader(stored), plain);
    free(filtered);
  }
  requireChunk(chunk, plain);
  return plain;
}

/**
 * As {@link decodeChunk}, on the calling thread and into the caller's memory.
 * @param out exactly `chunk.plainBytes` long
 */
export function decodeChunkInto(out: Uint8Array, chunk: Decodable, stored: Uint8Array, base?: Uint8Array): void {
  const {frame, dictionary} = frameOf(chunk, stored, base);
  const content = frame === undefined ? stored : decompressNow(frame, chunk.plainBytes, dictionary);
  if (content.length !== out.length) throw wrongLength(chunk, content);
  if (chunk.encoding === chunkEncodings.zstdOfFiltered) undoFilter(content, readFilterHeader(stored), out);
  else out.set(content);
  if (frame !== undefined) free(content);
  requireChunk(chunk, out);
}

/** The zstd frame to decompress, with its dictionary; no frame if the bytes are stored uncompressed. */
function frameOf(
  {encoding}: Decodable,
  stored: Uint8Array,
  base: Uint8Array | undefined,
): {frame?: Uint8Array; dictionary?: Uint8Array} {
  switch (encoding) {
    case chunkEncodings.plain:
      return {};
    case chunkEncodings.zstd:
      return {frame: stored};
    case chunkEncodings.zstdWithBase:
      assert(base !== undefined, 'a difference is decoded with its base');
      return {frame: stored, dictionary: base};
    case chunkEncodings.zstdOfFiltered:
      return {frame: stored.subarray(filterBytes)};
    default:
      return unreachable(encoding);
  }
}

function requireChunk(chunk: Decodable, plain: Uint8Array): void {
  if (plain.length !== chunk.plainBytes) throw wrongLength(chunk, plain);
  if (chunkId(plain) !== chunk.id) throw new Error('its hash is not its id');
}

const wrongLength = ({plainBytes}: Decodable, {length}: Uint8Array) =>
  new Error(`it has ${length} bytes instead of ${plainBytes}`);
