import {assert, unreachable} from '../../errors/index.ts';
import {copiedBytes, copyShared, free} from '../../lib/memory.ts';
import {type ChunkEncoding, chunkEncodings} from '../format/entry.ts';
import {chunkId} from '../format/hash.ts';
import {decompress, decompressNow} from '../format/zstd.ts';
import type {ChunkId} from '../types.ts';
import {joinRecords, mostColumnBytes, type RecordKind, splitRecords} from './columns/columns.ts';
import {readColumnsHeader} from './columns/header.ts';
import {type Filter, filterBytes, readFilterHeader, undoFilter} from './filter.ts';

export type Decodable = {id: ChunkId; plainBytes: number; encoding: ChunkEncoding};

/** A chunk that another one is stored as a difference to, in a stored form that needs no other chunk; unchecked. */
export type StoredBase = Decodable & {stored: Uint8Array};

/**
 * A base that was checked, as far as it is needed: its plain bytes for a difference of plain bytes, the columns of its
 * records for one by column.
 */
export type OpenBase = {plain?: Uint8Array | undefined; columns?: Uint8Array | undefined};

type AnyBase = Uint8Array | StoredBase | OpenBase;

const isStored = (base: AnyBase | undefined): base is StoredBase => base !== undefined && 'stored' in base;

/** A zstd frame, and how the plain bytes are arranged in it; as they are if there is neither `filter` nor `records`. */
type Frame = {
  bytes: Uint8Array;
  /** Perhaps in memory that is used again when other records are split or joined. */
  dictionary?: Uint8Array;
  filter?: Filter | undefined;
  records?: RecordKind | undefined;
};

/**
 * The plain bytes of a chunk, checked against its id.
 * @param base plain bytes of the base; required with `zstdWithBase`
 * @throws Error with a cause in words if the stored bytes are not this chunk's; the caller knows where they came from
 */
export async function decodeChunk(chunk: Decodable, stored: Uint8Array, base?: Uint8Array): Promise<Uint8Array> {
  const frame = frameOf(chunk, stored, base);
  if (frame === undefined) {
    requireChunk(chunk, stored);
    return stored;
  }
  const {bytes, dictionary} = frame;
  const content = await decompress(bytes, mostContentBytes(chunk, frame), dictionary && Buffer.from(dictionary));
  const plain = plainOf(chunk, frame, content);
  requireChunk(chunk, plain);
  if (plain === content) return content;
  free(content);
  return copiedBytes(plain);
}

/**
 * As {@link decodeChunk}, on the calling thread and into the caller's memory.
 * @param out exactly `chunk.plainBytes` long
 * @param base its plain bytes; or its stored form, which is decoded as far as it must be, and not checked: with other
 *   bytes the chunk would not have its id
 */
export function decodeChunkInto(out: Uint8Array, chunk: Decodable, stored: Uint8Array, base?: AnyBase): void {
  decodeNow(chunk, stored, base, (plain) => {
    if (plain.length !== out.length) throw wrongLength(chunk, plain);
    copyShared(out, 0, plain);
    requireChunk(chunk, out);
  });
}

/**
 * The columns of a chunk that is stored by column, with the chunk checked.
 * @returns in memory of their own; undefined if it is stored in another way
 * @throws Error with a cause in words if the stored bytes are not this chunk's
 */
export function checkedColumns(chunk: Decodable, stored: Uint8Array, kind: RecordKind): Uint8Array | undefined {
  // What needs a base is none itself.
  const frame = chunk.encoding === chunkEncodings.zstdWithBase ? undefined : frameOf(chunk, stored, undefined);
  if (frame?.records !== kind) return undefined;
  const columns = decompressNow(frame.bytes, mostContentBytes(chunk, frame));
  requireChunk(chunk, plainOf(chunk, frame, columns));
  return columns;
}

/** As {@link decodeChunkInto}, for nothing but the check. */
export function checkChunk(chunk: Decodable, stored: Uint8Array, base?: AnyBase): void {
  decodeNow(chunk, stored, base, (plain) => requireChunk(chunk, plain));
}

/** @param take receives the plain bytes, which are gone afterwards */
function decodeNow(
  chunk: Decodable,
  stored: Uint8Array,
  base: AnyBase | undefined,
  take: (plain: Uint8Array) => void,
): void {
  const frame = frameOf(chunk, stored, base);
  if (frame === undefined) {
    take(stored);
    return;
  }
  const content = decompressNow(frame.bytes, mostContentBytes(chunk, frame), frame.dictionary);
  const {dictionary} = frame;
  // What was decoded of a stored base is used by nobody else.
  if (dictionary !== undefined && isStored(base) && dictionary !== base.stored) free(dictionary);
  take(plainOf(chunk, frame, content));
  free(content);
}

/** The zstd frame to decompress; undefined if the bytes are stored uncompressed. */
function frameOf({encoding}: Decodable, stored: Uint8Array, base: AnyBase | undefined): Frame | undefined {
  switch (encoding) {
    case chunkEncodings.plain:
      return undefined;
    case chunkEncodings.zstd:
      return {bytes: stored};
    case chunkEncodings.zstdWithBase: {
      assert(base !== undefined, 'a difference is decoded with its base');
      const records = readColumnsHeader(stored);
      if (records === undefined) return {bytes: stored, dictionary: plainBase(base)};
      return {bytes: stored.subarray(filterBytes), dictionary: columnsOfBase(base, records), records};
    }
    case chunkEncodings.zstdOfFiltered: {
      const bytes = stored.subarray(filterBytes);
      const records = readColumnsHeader(stored);
      return records === undefined ? {bytes, filter: readFilterHeader(stored)} : {bytes, records};
    }
    default:
      return unreachable(encoding);
  }
}

/** @returns perhaps memory that is used again when the next chunk is rearranged */
function plainBase(base: AnyBase): Uint8Array {
  if (base instanceof Uint8Array) return base;
  if (!isStored(base)) {
    assert(base.plain !== undefined, 'the plain bytes of a base are open');
    return base.plain;
  }
  const frame = frameOf(base, base.stored, undefined);
  if (frame === undefined) return base.stored;
  const content = decompressNow(frame.bytes, mostContentBytes(base, frame));
  const plain = plainOf(base, frame, content);
  if (plain !== content) free(content);
  return plain;
}

/** The columns of a base's records: those that are stored, if it is stored by column. */
function columnsOfBase(base: AnyBase, kind: RecordKind): Uint8Array {
  if (!(base instanceof Uint8Array) && !isStored(base) && base.columns !== undefined) return base.columns;
  if (isStored(base)) {
    const frame = frameOf(base, base.stored, undefined);
    if (frame?.records === kind) return decompressNow(frame.bytes, mostContentBytes(base, frame));
  }
  const plain = plainBase(base);
  const columns = splitRecords(base === plain ? plain : copiedBytes(plain), kind);
  if (columns === undefined) throw new Error('its base cannot be arranged by column');
  return columns;
}

const mostContentBytes = ({plainBytes}: Decodable, {records}: Frame) =>
  records === undefined ? plainBytes : mostColumnBytes(plainBytes);

/** @returns `content`, or memory that is used again when the next chunk is rearranged */
function plainOf(chunk: Decodable, {filter, records}: Frame, content: Uint8Array): Uint8Array {
  const {plainBytes} = chunk;
  if (records !== undefined) return joinRecords(content, records, plainBytes);
  if (filter === undefined) return content;
  if (content.length !== plainBytes) throw wrongLength(chunk, content);
  return undoFilter(content, filter);
}

function requireChunk(chunk: Decodable, plain: Uint8Array): void {
  if (plain.length !== chunk.plainBytes) throw wrongLength(chunk, plain);
  if (chunkId(plain) !== chunk.id) throw new Error('its hash is not its id');
}

const wrongLength = ({plainBytes}: Decodable, {length}: Uint8Array) =>
  new Error(`it has ${length} bytes instead of ${plainBytes}`);
