import {BkpError} from '../../errors/index.ts';
import {mapConcurrent} from '../../lib/async.ts';
import {free} from '../../lib/memory.ts';
import type {Store} from '../../stores/index.ts';
import {idBytes} from '../format/hash.ts';
import {idsOfList} from '../format/recipe.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId, Recipe} from '../types.ts';
import {ChunkReader} from './chunk-reader.ts';
import {GroupReader, groupsAtOnce} from './group-reader.ts';
import {Recovery} from './recovery.ts';

export type ReadOptions = {
  signal?: AbortSignal;
  /** Reuse the memory of a chunk as soon as the caller asks for the next one. Default false. */
  borrowed?: boolean;
};

/** Where copies of lists of chunk ids are kept. */
export type ListCopies = {list(id: ChunkId): Uint8Array | undefined; saveList(id: ChunkId, bytes: Uint8Array): void};

/** Reads streams: the bytes and the chunk ids that a recipe leads to. */
export class StreamReader {
  readonly chunks: ChunkReader;
  readonly #index: ChunkIndex;
  readonly #groups: GroupReader;
  readonly #lists: ListCopies | undefined;

  /**
   * @param options.lists absent: lists, too, are always read from the store
   * @param options.saw see {@link ChunkReader}
   */
  constructor(
    store: Store,
    index: ChunkIndex,
    {lists, saw}: {lists?: ListCopies; saw?: (locations: readonly Location[]) => void} = {},
  ) {
    this.chunks = new ChunkReader(store, index, saw);
    this.#index = index;
    this.#groups = new GroupReader(index, this.chunks);
    this.#lists = lists;
  }

  /** The stream's bytes, chunk by chunk. @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` */
  async *read(recipe: Recipe, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const recovery = new Recovery(this.#index);
    let sizeBytes = 0;
    for await (const chunk of this.#chunksOf(this.#ids(recipe, recovery, options.signal), recovery, options)) {
      sizeBytes += chunk.length;
      yield chunk;
    }
    if (sizeBytes !== recipe.sizeBytes) {
      throw new BkpError('OBJECT_DAMAGED', `a stream has ${sizeBytes} bytes instead of ${recipe.sizeBytes}`, {
        cause: 'its recipe and its chunks do not agree',
      });
    }
  }

  /** Some chunks, in the given order. @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` */
  async *readChunks(ids: Iterable<ChunkId>, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    await this.#index.ready();
    yield* this.#chunksOf(asAsync(ids), new Recovery(this.#index), options);
  }

  async *#chunksOf(
    ids: AsyncIterable<ChunkId>,
    recovery: Recovery,
    {signal, borrowed = false}: ReadOptions,
  ): AsyncGenerator<Uint8Array> {
    for await (const {chunks, release} of this.#groups.read(ids, recovery)) {
      try {
        for (const chunk of chunks) {
          signal?.throwIfAborted();
          yield borrowed || release === undefined ? chunk : new Uint8Array(chunk);
        }
      } finally {
        release?.();
        // V8 would free this memory late, because later chunks go into reused memory and cause no garbage collection.
        if (borrowed && release === undefined) for (const chunk of chunks) free(chunk);
      }
    }
  }

  /** The stream's chunk ids in order. */
  ids(recipe: Recipe, signal?: AbortSignal, recovery = new Recovery(this.#index)): AsyncGenerator<ChunkId> {
    return this.#ids(recipe, recovery, signal);
  }

  async *#ids(recipe: Recipe, recovery: Recovery, signal?: AbortSignal): AsyncGenerator<ChunkId> {
    await this.#index.ready();
    if (recipe.depth === 0) {
      yield* recipe.chunks;
      return;
    }
    const lists = this.#ids({...recipe, depth: recipe.depth - 1}, recovery, signal);
    for await (const list of this.#listChunks(lists, recovery, signal)) {
      if (list.length % idBytes !== 0) throw new BkpError('OBJECT_DAMAGED', 'a list of chunks ends within an id');
      yield* idsOfList(list);
    }
  }

  /** The chunks of lists. A copy is as good as the stored list, because the id of a list is its hash. */
  #listChunks(ids: AsyncIterable<ChunkId>, recovery: Recovery, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const lists = this.#lists;
    if (lists === undefined) return this.#readLists(ids, recovery, signal);
    return mapConcurrent(ids, groupsAtOnce, async (id) => {
      signal?.throwIfAborted();
      const kept = lists.list(id);
      if (kept !== undefined) return kept;
      const bytes = await this.chunks.load(id, recovery);
      lists.saveList(id, bytes);
      return bytes;
    });
  }

  async *#readLists(ids: AsyncIterable<ChunkId>, recovery: Recovery, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const {chunks} of this.#groups.read(ids, recovery)) {
      for (const chunk of chunks) {
        signal?.throwIfAborted();
        yield chunk;
      }
    }
  }
}

async function* asAsync<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}
