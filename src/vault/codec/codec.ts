import {assert, BkpError, unreachable} from '../../errors/index.ts';
import {type ChunkEncoding, chunkEncodings} from '../format/entry.ts';
import {chunkId} from '../format/hash.ts';
import {canBeDictionary, compressNow, decompress, decompressNow} from '../format/zstd.ts';
import type {ChunkId} from '../types.ts';
import {
  applyFilter,
  type Filter,
  filterBytes,
  filterHeader,
  filtersFor,
  readFilterHeader,
  undoFilter,
} from './filter.ts';
import {free, Scratch} from './scratch.ts';

/** Compression that saves less than this part of a chunk is not worth the time at every reading. */
const worthSaving = 0.03;

/** A difference must be this much smaller than the self-contained form, because it needs two chunks to be read. */
const worthABase = 0.5;

/** zstd's fastest levels have tables too small to find their way in a dictionary: 30 times larger results at level 1. */
const leastLevelWithBase = 3;

/** Enough of a column to see what compresses it best. */
const sampleBytes = 32 * 1024;

export type EncodedChunk = {encoding: ChunkEncoding; stored: Uint8Array; base?: ChunkId};

/** A chunk of the vault that a new one probably resembles, in a stored form that needs no other; unchecked. */
export type Base = Decodable & {stored: Uint8Array};

/** Numbers of `widthBytes`; chunks with one `number` are of one column, and come one after the other. */
export type ColumnPart = {number: number; widthBytes: number};

export type PlainChunk = {id: ChunkId; plain: Uint8Array; column?: ColumnPart; base?: Base};

/** `ratio`: how well it compressed by itself (stored / plain). */
type OpenBase = {id: ChunkId; plain: Uint8Array; ratio: number};

/** Finds the smallest worthwhile stored form of chunks. Works on the thread that calls it. */
export class ChunkEncoder {
  readonly #level: number;
  readonly #room = new Scratch();
  readonly #baseRoom = new Scratch();
  /** What was found best for the column whose chunks come just now. */
  #choice: {column: number; filter: Filter | undefined} | undefined;

  constructor(level: number) {
    this.#level = level;
  }

  /** What it gives was decoded again, and is this chunk. @throws Error in words, when it is not: memory is at fault */
  encode(chunk: PlainChunk): EncodedChunk {
    const {id, plain} = chunk;
    const base = this.#decodeBase(chunk.base);
    const encoded = this.#smallest(chunk, base);
    const decodable = {id, plainBytes: plain.length, encoding: encoded.encoding};
    decodeChunkInto(this.#room.of(plain.length), decodable, encoded.stored, base?.plain);
    return encoded;
  }

  /** A damaged chunk is no reason not to store a new one; it is not built upon. */
  #decodeBase(base: Base | undefined): OpenBase | undefined {
    if (base === undefined) return undefined;
    const plain = this.#baseRoom.of(base.plainBytes);
    try {
      decodeChunkInto(plain, base, base.stored);
    } catch {
      return undefined;
    }
    return canBeDictionary(plain) ? {id: base.id, plain, ratio: base.stored.length / base.plainBytes} : undefined;
  }

  #smallest({plain, column}: PlainChunk, base: OpenBase | undefined): EncodedChunk {
    if (base === undefined) return this.#alone(plain, column);
    const level = Math.max(this.#level, leastLevelWithBase);
    const stored = compressNow(plain, {level, dictionary: base.plain});
    const difference: EncodedChunk = {encoding: chunkEncodings.zstdWithBase, stored, base: base.id};
    // What the base took by itself is a good guess for its like, and saves compressing twice.
    if (stored.length < worthABase * base.ratio * plain.length) return difference;
    const alone = this.#alone(plain, column);
    return stored.length < worthABase * alone.stored.length ? difference : alone;
  }

  #alone(plain: Uint8Array, column: ColumnPart | undefined): EncodedChunk {
    const filtered = column === undefined ? undefined : this.#filtered(plain, column);
    const stored = filtered ?? compressNow(plain, {level: this.#level});
    if (stored.length >= plain.length * (1 - worthSaving)) return {encoding: chunkEncodings.plain, stored: plain};
    return {encoding: filtered === undefined ? chunkEncodings.zstd : chunkEncodings.zstdOfFiltered, stored};
  }

  #filtered(plain: Uint8Array, column: ColumnPart): Uint8Array | undefined {
    // Tried twice: numbers further down may be no such decimals as those before them.
    for (const isLast of [false, true]) {
      if (isLast || this.#choice?.column !== column.number) {
        this.#choice = {column: column.number, filter: this.#best(plain, column.widthBytes)};
      }
      const {filter} = this.#choice;
      if (filter === undefined) return undefined;
      const stored = this.#compressFiltered(plain, filter);
      if (stored !== undefined) return stored;
    }
    return undefined;
  }

  #best(plain: Uint8Array, widthBytes: number): Filter | undefined {
    const sample = plain.subarray(0, sampleBytes);
    let least = compressNow(sample, {level: this.#level}).length * (1 - worthSaving);
    let best: Filter | undefined;
    for (const filter of filtersFor(sample, widthBytes)) {
      const bytes = this.#compressFiltered(sample, filter)?.length ?? Number.POSITIVE_INFINITY;
      if (bytes < least) [least, best] = [bytes, filter];
    }
    return best;
  }

  #compressFiltered(plain: Uint8Array, filter: Filter): Uint8Array | undefined {
    const arranged = this.#room.of(plain.length);
    if (!applyFilter(plain, filter, arranged)) return undefined;
    const frame = compressNow(arranged, {level: this.#level});
    const stored = Buffer.concat([filterHeader(filter), frame]);
    free(frame);
    return stored;
  }
}

/** For who asked an encoder. @param cause what it threw */
export function roundTripFailed(id: ChunkId, cause: unknown): BkpError {
  return new BkpError('OBJECT_DAMAGED', `chunk ${id} was not the same after it was compressed and decompressed`, {
    cause,
    next: 'take the backup again; if this comes back, test the memory of this machine',
    context: {chunk: id},
  });
}

export type Decodable = {id: ChunkId; plainBytes: number; encoding: ChunkEncoding};

/**
 * The plain bytes of a chunk, checked against its id.
 * @param base plain bytes of the base; needed with `zstdWithBase`
 * @throws Error in words, when the stored bytes are not this chunk's; the caller knows where they came from
 */
export async function decodeChunk(chunk: Decodable, stored: Uint8Array, base?: Uint8Array): Promise<Uint8Array> {
  const {frame, dictionary} = partsOf(chunk, stored, base);
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
 * The same on the thread that calls, into the caller's memory.
 * @param out as long as the chunk says
 */
export function decodeChunkInto(out: Uint8Array, chunk: Decodable, stored: Uint8Array, base?: Uint8Array): void {
  const {frame, dictionary} = partsOf(chunk, stored, base);
  const content = frame === undefined ? stored : decompressNow(frame, chunk.plainBytes, dictionary);
  if (content.length !== out.length) throw wrongLength(chunk, content);
  if (chunk.encoding === chunkEncodings.zstdOfFiltered) undoFilter(content, readFilterHeader(stored), out);
  else out.set(content);
  if (frame !== undefined) free(content);
  requireChunk(chunk, out);
}

/** What zstd is to be asked for; no frame when the bytes are stored as they are. */
function partsOf(
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
      assert(base !== undefined, 'the base of a difference is at hand');
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
