import {BkpError} from '../../errors/index.ts';
import {copiedBytes, free} from '../../lib/memory.ts';
import {type ChunkEncoding, chunkEncodings} from '../format/entry.ts';
import {canBeDictionary, compressNow} from '../format/zstd.ts';
import type {ChunkId} from '../types.ts';
import {type RecordKind, splitRecords} from './columns/columns.ts';
import {columnsHeader} from './columns/header.ts';
import {checkChunk, checkedColumns, decodeChunkInto, type OpenBase, type StoredBase} from './decode.ts';
import {applyFilter, type Filter, filterHeader, filtersFor} from './filter.ts';
import {Scratch} from './scratch.ts';

/** Compression that saves less than this part of a chunk is not worth the time at every read. */
const worthSaving = 0.03;

/** A difference must be this much smaller than the self-contained form, because reading it takes two chunks. */
const worthABase = 0.5;

/** Enough of a column to choose its filter. */
const sampleBytes = 32 * 1024;

/** Of fewer records, columns may take more than they save: both forms are tried. */
const fewRecordsBytes = 32 * 1024;

export type EncodedChunk = {encoding: ChunkEncoding; stored: Uint8Array; base?: ChunkId | undefined};

/** Numbers of `widthBytes`. Chunks with the same `number` belong to one column and arrive one after the other. */
export type ColumnPart = {number: number; widthBytes: number};

export type PlainChunk = {
  id: ChunkId;
  plain: Uint8Array;
  column?: ColumnPart | undefined;
  records?: RecordKind | undefined;
  base?: StoredBase | undefined;
};

/** `ratio`: stored / plain bytes of its self-contained form. */
type Base = OpenBase & {from: StoredBase; ratio: number};

/** Finds the smallest worthwhile stored form of chunks. Works on the calling thread. */
export class ChunkEncoder {
  readonly #level: number;
  readonly #baseScratch = new Scratch();
  /** The best filter for the column whose chunks arrive now. */
  #choice: {column: number; filter: Filter | undefined} | undefined;

  constructor(level: number) {
    this.#level = level;
  }

  /**
   * The result has been decoded again and compared with the chunk's id.
   * @throws Error with a cause in words if that fails: the memory of this machine is faulty
   */
  encode(chunk: PlainChunk): EncodedChunk {
    const {id, plain} = chunk;
    const base = this.#openBase(chunk);
    const encoded = this.#smallest(chunk, base);
    const decodable = {id, plainBytes: plain.length, encoding: encoded.encoding};
    checkChunk(decodable, encoded.stored, base);
    if (base?.columns !== undefined) free(base.columns);
    return encoded;
  }

  /**
   * Of a base that is stored by column the columns, if they are what a difference needs: arranging its records again
   * would take as long as arranging those of the chunk. A damaged base does not prevent a backup: the new chunk is
   * stored without it.
   */
  #openBase({base, records}: PlainChunk): Base | undefined {
    if (base === undefined) return undefined;
    try {
      const opened = {from: base, ratio: base.stored.length / base.plainBytes};
      const columns = records === 'key' ? checkedColumns(base, base.stored, records) : undefined;
      return {...opened, ...(columns === undefined ? {plain: this.#plainOf(base)} : {columns})};
    } catch {
      return undefined;
    }
  }

  #plainOf(base: StoredBase): Uint8Array {
    const plain = this.#baseScratch.of(base.plainBytes);
    decodeChunkInto(plain, base, base.stored);
    return plain;
  }

  #smallest(chunk: PlainChunk, base: Base | undefined): EncodedChunk {
    const stored = base && this.#difference(chunk, base);
    if (base === undefined || stored === undefined) return this.#alone(chunk);
    const {plain} = chunk;
    const difference: EncodedChunk = {encoding: chunkEncodings.zstdWithBase, stored, base: base.from.id};
    // A similar chunk compresses about as well as its base did, so a small enough difference needs no second
    // compression.
    if (stored.length < worthABase * base.ratio * plain.length) return difference;
    const alone = this.#alone(chunk);
    return stored.length < worthABase * alone.stored.length ? difference : alone;
  }

  /** @returns undefined if zstd would take the base for something else */
  #difference({plain, records}: PlainChunk, base: Base): Uint8Array | undefined {
    const byColumn = records === 'key' ? this.#differenceByColumn(plain, records, base) : undefined;
    if (byColumn !== undefined) return byColumn;
    base.plain ??= this.#plainOf(base.from);
    return canBeDictionary(base.plain) ? compressNow(plain, {level: this.#level, dictionary: base.plain}) : undefined;
  }

  /** @returns undefined if one of the two cannot be arranged by column */
  #differenceByColumn(plain: Uint8Array, records: RecordKind, base: Base): Uint8Array | undefined {
    if (base.columns === undefined) {
      const ofBase = splitRecords(base.plain!, records);
      // A copy, because the columns of the chunk take the same memory.
      base.columns = ofBase && copiedBytes(ofBase);
    }
    if (base.columns === undefined) return undefined;
    const columns = splitRecords(plain, records);
    if (columns === undefined) return undefined;
    const dictionary = base.columns;
    return withHeader(columnsHeader(records), compressNow(columns, {level: this.#level, dictionary}));
  }

  #alone({plain, column, records}: PlainChunk): EncodedChunk {
    let stored = this.#arranged(plain, column, records);
    let encoding: ChunkEncoding = chunkEncodings.zstdOfFiltered;
    if (stored === undefined || (records !== undefined && plain.length < fewRecordsBytes)) {
      const frame = compressNow(plain, {level: this.#level});
      if (stored === undefined || frame.length < stored.length) [stored, encoding] = [frame, chunkEncodings.zstd];
    }
    const isWorthIt = stored.length < plain.length * (1 - worthSaving);
    return isWorthIt ? {encoding, stored} : {encoding: chunkEncodings.plain, stored: plain};
  }

  /** Behind a filter's header; undefined if no filter is good for these bytes. */
  #arranged(plain: Uint8Array, column?: ColumnPart, records?: RecordKind): Uint8Array | undefined {
    if (column !== undefined) return this.#filtered(plain, column);
    const columns = records === undefined ? undefined : splitRecords(plain, records);
    if (columns === undefined) return undefined;
    return withHeader(columnsHeader(records!), compressNow(columns, {level: this.#level}));
  }

  #filtered(plain: Uint8Array, column: ColumnPart): Uint8Array | undefined {
    // Two attempts: later numbers of a column may not be decimals of the scale that was chosen for earlier ones.
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
    const filtered = applyFilter(plain, filter);
    if (filtered === undefined) return undefined;
    return withHeader(filterHeader(filter), compressNow(filtered, {level: this.#level}));
  }
}

function withHeader(header: Uint8Array, frame: Uint8Array): Uint8Array {
  const stored = Buffer.concat([header, frame]);
  free(frame);
  return stored;
}

/** For callers of an encoder. @param cause what the encoder threw */
export function roundTripFailed(id: ChunkId, cause: unknown): BkpError {
  return new BkpError('OBJECT_DAMAGED', `chunk ${id} was not the same after it was compressed and decompressed`, {
    cause,
    next: 'take the backup again; if this comes back, test the memory of this machine',
    context: {chunk: id},
  });
}
