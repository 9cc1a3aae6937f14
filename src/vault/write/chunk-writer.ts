import {assert} from '../../errors/index.ts';
import {mapConcurrent, yieldToEventLoop} from '../../lib/async.ts';
import {copiedBytes, free} from '../../lib/memory.ts';
import type {Store} from '../../stores/index.ts';
import {ChunkEncoder, type EncodedChunk, type PlainChunk, roundTripFailed} from '../codec/encode.ts';
import {EncoderThreads} from '../codec/encoder-threads.ts';
import {chunkId} from '../format/hash.ts';
import {maxChunkBytes} from '../format/limits.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ObjectCache} from '../indexes/object-cache.ts';
import type {ChunkId, Piece, WriteStats} from '../types.ts';
import {BaseFinder} from './base-finder.ts';
import {ColumnNumbers} from './column-numbers.ts';
import type {NewChunk, PackWriter} from './pack-writer.ts';

export type ChunkWriterDeps = {
  store: Store;
  index: ChunkIndex;
  packs: PackWriter;
  /** Absent for a store without versions, where the cache saves nothing. */
  cached: ObjectCache | undefined;
  stats: WriteStats;
  compressionLevel: number;
  compressionThreads: number;
};

/** Threads take 100 ms to start; this thread compresses less than this in that time. */
const threadsFromBytes = 1024 * 1024;

/** At most this many plain bytes are on their way into packs before reading further pieces waits. */
const aheadBytes = 4 * 1024 * 1024;

/** `chunk` is absent if the vault already has it. `isOwn`: nothing else uses the memory of its stored form. */
type Encoded = {id: ChunkId; plainBytes: number; chunk?: NewChunk; isOwn?: boolean};

/** Makes chunks of pieces, and appends the ones that the vault does not have to packs. */
export class ChunkWriter {
  readonly #deps: ChunkWriterDeps;
  readonly #bases: BaseFinder;
  readonly #columns = new ColumnNumbers();
  /** Chunks that are being compressed. */
  readonly #encoding = new Set<ChunkId>();
  /** Used until the threads are up, and for chunks that are too large for them. */
  readonly #encoder: ChunkEncoder;
  #threads: EncoderThreads | undefined;
  #encodedBytes = 0;

  constructor(deps: ChunkWriterDeps) {
    this.#deps = deps;
    this.#bases = new BaseFinder(deps.store, deps.index);
    this.#encoder = new ChunkEncoder(deps.compressionLevel);
  }

  /** The chunks of the pieces, in order. An empty piece has the id of no bytes and is not stored. */
  async *write(pieces: AsyncIterable<Piece> | Iterable<Piece>): AsyncGenerator<{id: ChunkId; plainBytes: number}> {
    const encode = (piece: Piece) => this.#encodeAndRelease(piece);
    try {
      for await (const encoded of mapConcurrent(pieces, aheadBytes, encode, ({bytes}) => bytes.length)) {
        this.#deps.stats.logicalBytes += encoded.plainBytes;
        if (encoded.plainBytes > 0) await this.#append(encoded);
        yield encoded;
      }
    } finally {
      // After an error, the chunks that were being compressed never get into a pack.
      this.#encoding.clear();
    }
  }

  /**
   * Releases a piece as soon as it is encoded, not when its turn to be appended comes: a source with little memory
   * would wait for that forever, because this writer waits for its next piece first. After an error too: the source
   * ends only when it has got the memory that it waits for.
   */
  async #encodeAndRelease(piece: Piece): Promise<Encoded> {
    try {
      const encoded = await this.#encode(piece);
      const {chunk} = encoded;
      if (chunk === undefined) return encoded;
      // What is stored as it is may be the piece's own memory.
      const isOwn = chunk.stored.buffer !== piece.bytes.buffer;
      if (isOwn || piece.release === undefined) return {...encoded, isOwn};
      return {...encoded, chunk: {...chunk, stored: copiedBytes(chunk.stored)}, isOwn: true};
    } finally {
      piece.release?.();
    }
  }

  /** One list of chunk ids, not counted as the user's bytes. */
  async writeList(list: Uint8Array): Promise<ChunkId> {
    const encoded = await this.#encode({bytes: list});
    await this.#append(encoded);
    this.#deps.cached?.saveList(encoded.id, list);
    return encoded.id;
  }

  async #append({id, plainBytes, chunk, isOwn = false}: Encoded): Promise<void> {
    const {stats, packs} = this.#deps;
    stats.chunks += 1;
    if (chunk === undefined) return;
    stats.newChunks += 1;
    stats.newBytes += plainBytes;
    await packs.append(chunk);
    // V8 collects garbage for each 10 MiB of it, which took more CPU than hashing all chunks.
    if (isOwn) free(chunk.stored);
    this.#encoding.delete(id);
  }

  /** See `VaultWriter.keptBytes`. */
  keptBytes(id: ChunkId): number | undefined {
    const {index} = this.#deps;
    return index.hasReliable(id) ? index.locate(id)?.plainBytes : undefined;
  }

  async #encode({bytes, like, column, records, kept}: Piece): Promise<Encoded> {
    if (kept !== undefined) {
      const keptBytes = this.keptBytes(kept);
      assert(keptBytes !== undefined, `chunk ${kept} is in the vault`);
      return {id: kept, plainBytes: keptBytes};
    }
    assert(bytes.length <= maxChunkBytes, `a piece of ${bytes.length} bytes is larger than a chunk may be`);
    const id = chunkId(bytes);
    const plainBytes = bytes.length;
    if (plainBytes === 0 || this.#isKnown(id)) return {id, plainBytes};
    this.#encoding.add(id);
    const base = like === undefined ? undefined : await this.#bases.find(id, like);
    const chunk: PlainChunk = {
      id,
      plain: bytes,
      base,
      column: column === undefined ? undefined : this.#columns.of(column),
      records,
    };
    const encoded = await this.compress(chunk);
    if (base !== undefined) free(base.stored);
    return {id, plainBytes, chunk: {id, plainBytes, ...encoded}};
  }

  #isKnown(id: ChunkId): boolean {
    return this.#encoding.has(id) || this.#deps.packs.isPending(id) || this.#deps.index.hasReliable(id);
  }

  /** @throws BkpError `OBJECT_DAMAGED` if the stored form does not decode to the same bytes */
  async compress(chunk: PlainChunk): Promise<EncodedChunk> {
    this.#encodedBytes += chunk.plain.length;
    if (this.#encodedBytes >= threadsFromBytes) {
      const threads = this.#started();
      // Else this thread, which has many pieces waiting, would learn that the others are up when it has encoded all.
      if (!threads.areUp) await yieldToEventLoop();
      if (threads.areUp && EncoderThreads.fits(chunk)) return threads.encode(chunk);
    }
    try {
      return this.#encoder.encode(chunk);
    } catch (error) {
      throw roundTripFailed(chunk.id, error);
    }
  }

  /** See `VaultWriter.expectMuch`. */
  expectMuch(): void {
    this.#started();
  }

  #started(): EncoderThreads {
    const {compressionThreads: threads, compressionLevel: level} = this.#deps;
    this.#threads ??= new EncoderThreads({threads, level});
    return this.#threads;
  }

  async close(): Promise<void> {
    await this.#threads?.close();
  }
}
