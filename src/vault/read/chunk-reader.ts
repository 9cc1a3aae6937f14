import {BkpError} from '../../errors/index.ts';
import {mapConcurrent} from '../../lib/async.ts';
import type {Store} from '../../stores/index.ts';
import {decodeChunk} from '../codec/decode.ts';
import {type Borrowed, GroupDecoder} from '../codec/group-decoder.ts';
import {free} from '../codec/scratch.ts';
import {damaged, isDamage} from '../format/damage.ts';
import {idBytes} from '../format/hash.ts';
import {packKey} from '../format/key.ts';
import {idsOfList} from '../format/recipe.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId, Recipe} from '../types.ts';

/** One read of the store brings at most this many plain bytes (one chunk may be more). Twice as much is no faster, from a disk. */
const groupBytes = 2 * 1024 * 1024;

/** Groups read ahead, so at most about 6 MiB of usual chunks wait for the reader, and as much of their bases. */
const groupsAtOnce = 3;

/** Bases kept for the next chunk that needs them: neighbours in a stream have neighbours as bases. */
const baseCacheBytes = 12 * 1024 * 1024;

/** What is read before threads are worth their start, which takes about as long as decoding this. */
const threadsFromBytes = 32 * 1024 * 1024;

/** Chunks that lie one after the other in one pack, or one chunk whose place is to be looked for. */
type Group = {ids: ChunkId[]; locations: Location[]};

export type ReadOptions = {
  signal?: AbortSignal;
  /** The memory of a chunk is used again as soon as the next one is asked for. Default false. */
  borrowed?: boolean;
};

export type ListCopies = {list(id: ChunkId): Uint8Array | undefined; saveList(id: ChunkId, bytes: Uint8Array): void};

/** Reads chunks and streams. Every chunk is checked against its id. */
export class ChunkReader {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  /** Copies of lists of chunk ids; absent: all is read from the store. */
  readonly #lists: ListCopies | undefined;
  readonly #bases = new Map<ChunkId, Promise<Uint8Array>>();
  #basesBytes = 0;
  readonly #decoder = new GroupDecoder(groupBytes);
  /** Plain bytes of the groups read so far. */
  #groupsBytes = 0;

  constructor(store: Store, index: ChunkIndex, lists?: ListCopies) {
    this.#store = store;
    this.#index = index;
    this.#lists = lists;
  }

  /** The stream's bytes, chunk by chunk. @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` */
  async *read(recipe: Recipe, {signal, borrowed = false}: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const recovery = new Recovery(this.#index);
    let sizeBytes = 0;
    for await (const {chunks, release} of this.#groupsOf(this.#ids(recipe, recovery, signal), recovery)) {
      try {
        for (const chunk of chunks) {
          signal?.throwIfAborted();
          sizeBytes += chunk.length;
          yield borrowed || release === undefined ? chunk : new Uint8Array(chunk);
        }
      } finally {
        release?.();
        // The collector would not come for it: what is read after it goes into memory that is used again.
        if (borrowed && release === undefined) for (const chunk of chunks) free(chunk);
      }
    }
    if (sizeBytes !== recipe.sizeBytes) {
      throw new BkpError('OBJECT_DAMAGED', `a stream has ${sizeBytes} bytes instead of ${recipe.sizeBytes}`, {
        cause: 'its recipe and its chunks do not agree',
      });
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

  /** Chunks of lists. A copy is as good as what lies in the store: the list's id is its hash. */
  #listChunks(ids: AsyncIterable<ChunkId>, recovery: Recovery, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const lists = this.#lists;
    if (lists === undefined) return this.#chunks(ids, recovery, signal);
    return mapConcurrent(ids, groupsAtOnce, async (id) => {
      signal?.throwIfAborted();
      const kept = lists.list(id);
      if (kept !== undefined) return kept;
      const bytes = await this.#load(id, recovery);
      lists.saveList(id, bytes);
      return bytes;
    });
  }

  async *#chunks(ids: AsyncIterable<ChunkId>, recovery: Recovery, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const {chunks} of this.#groupsOf(ids, recovery)) {
      for (const chunk of chunks) {
        signal?.throwIfAborted();
        yield chunk;
      }
    }
  }

  #groupsOf(ids: AsyncIterable<ChunkId>, recovery: Recovery): AsyncGenerator<Borrowed> {
    return mapConcurrent(this.#groups(ids), groupsAtOnce, (group) => this.#loadGroup(group, recovery));
  }

  async *#groups(ids: AsyncIterable<ChunkId>): AsyncGenerator<Group> {
    let group: Group = {ids: [], locations: []};
    let plainBytes = 0;
    for await (const id of ids) {
      const location = this.#index.locate(id);
      const last = group.locations.at(-1);
      const adjacent =
        location !== undefined &&
        last?.pack === location.pack &&
        last.offset + last.storedBytes === location.offset &&
        plainBytes + location.plainBytes <= groupBytes;
      if (!adjacent && group.ids.length > 0) {
        yield group;
        group = {ids: [], locations: []};
        plainBytes = 0;
      }
      group.ids.push(id);
      if (location !== undefined) group.locations.push(location);
      plainBytes += location?.plainBytes ?? 0;
    }
    if (group.ids.length > 0) yield group;
  }

  async #loadGroup({ids, locations}: Group, recovery: Recovery): Promise<Borrowed> {
    try {
      if (locations.length === ids.length) return await this.#readGroup(locations, recovery);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    // One by one, each from wherever it can still be had.
    const chunks: Uint8Array[] = [];
    for (const id of ids) chunks.push(await this.#load(id, recovery));
    return {chunks};
  }

  async #readGroup(locations: readonly Location[], recovery: Recovery): Promise<Borrowed> {
    this.#groupsBytes += locations.reduce((sum, {plainBytes}) => sum + plainBytes, 0);
    if (this.#groupsBytes < threadsFromBytes) return {chunks: await this.#readRange(locations, recovery)};
    const from = locations[0]!.offset;
    const [stored, chunks] = await Promise.all([
      this.#getRange(locations),
      Promise.all(
        locations.map(async ({id, offset, storedBytes, plainBytes, encoding, base}) => ({
          ...{id, storedBytes, plainBytes, encoding, at: offset - from},
          ...(base === undefined ? {} : {base: await this.base(base, recovery)}),
        })),
      ),
    ]);
    // Once more when that did not work: then it is told what is wrong.
    return (await this.#decoder.decode({stored, chunks})) ?? {chunks: await this.#readRange(locations, recovery)};
  }

  /**
   * Chunks that lie one after the other in one pack, with one read of the store; all in memory at once.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` naming a chunk that is not as it should be
   */
  async #readRange(locations: readonly Location[], recovery: Recovery): Promise<Uint8Array[]> {
    const stored = await this.#getRange(locations);
    return Promise.all(locations.map((location) => this.#decode(location, stored, locations[0]!.offset, recovery)));
  }

  /**
   * A chunk's plain bytes, when it is as it should be.
   * @param stored a part of its pack that was read already, from the byte `from` on
   * @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING`
   */
  check(location: Location, stored: Uint8Array, from: number, recovery: Recovery): Promise<Uint8Array> {
    return this.#decode(location, stored, from, recovery);
  }

  /** Reads the bytes of chunks that lie one after the other, and checks them; one is decoded at a time. */
  async checkRange(locations: readonly Location[], recovery: Recovery): Promise<void> {
    const stored = await this.#getRange(locations);
    for (const location of locations) await this.#decode(location, stored, locations[0]!.offset, recovery);
  }

  #getRange(locations: readonly Location[]): Promise<Uint8Array> {
    const first = locations[0]!;
    const last = locations.at(-1)!;
    return this.#store.get(packKey(first.pack), {start: first.offset, end: last.offset + last.storedBytes});
  }

  async #decode(location: Location, stored: Uint8Array, from: number, recovery: Recovery): Promise<Uint8Array> {
    const base = location.base === undefined ? undefined : await this.base(location.base, recovery);
    const at = location.offset - from;
    try {
      return await decodeChunk(location, stored.subarray(at, at + location.storedBytes), base);
    } catch (error) {
      throw chunkDamaged(location, error);
    }
  }

  /** One chunk, from any of its places. @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` */
  async #load(id: ChunkId, recovery: Recovery, usable: (place: Location) => boolean = () => true): Promise<Uint8Array> {
    const first = await this.#tryPlaces(id, recovery, usable);
    if (first.bytes !== undefined) return first.bytes;
    await recovery.run();
    const second = await this.#tryPlaces(id, recovery, usable);
    if (second.bytes !== undefined) return second.bytes;
    throw second.error;
  }

  async #tryPlaces(
    id: ChunkId,
    recovery: Recovery,
    usable: (place: Location) => boolean,
  ): Promise<{bytes: Uint8Array} | {bytes?: undefined; error: unknown}> {
    let error: unknown;
    for (const location of this.#index.locations(id).filter(usable)) {
      try {
        const [bytes] = await this.#readRange([location], recovery);
        return {bytes: bytes!};
      } catch (problem) {
        if (!isDamage(problem)) throw problem;
        error ??= problem;
      }
    }
    return {error: error ?? chunkMissing(id)};
  }

  /** Plain bytes of a chunk that others are differences to; the last ones are kept. */
  base(id: ChunkId, recovery = new Recovery(this.#index)): Promise<Uint8Array> {
    const kept = this.#bases.get(id);
    if (kept !== undefined) {
      this.#bases.delete(id);
      this.#bases.set(id, kept);
      return kept;
    }
    // Only a self-contained form: a damaged table could name two chunks as each other's bases.
    const loading = this.#load(id, recovery, (place) => place.base === undefined);
    this.#bases.set(id, loading);
    loading.then(
      (bytes) => this.#keepBase(bytes.length),
      () => this.#bases.delete(id),
    );
    return loading;
  }

  async #keepBase(sizeBytes: number): Promise<void> {
    this.#basesBytes += sizeBytes;
    while (this.#basesBytes > baseCacheBytes && this.#bases.size > 1) {
      const [oldest, loading] = this.#bases.entries().next().value!;
      this.#bases.delete(oldest);
      // One that is still loading is counted when it has come, and not at all when it never comes.
      this.#basesBytes -= (await loading.catch(() => new Uint8Array())).length;
    }
  }
}

/** The index is read anew at most once for one piece of work: what is wrong after that is wrong in the store. */
export class Recovery {
  readonly #index: ChunkIndex;
  #rebuilt: Promise<void> | undefined;

  constructor(index: ChunkIndex) {
    this.#index = index;
  }

  /** Concurrent callers share one rebuild. */
  run(): Promise<void> {
    this.#rebuilt ??= this.#index.rebuild().then(() => {});
    return this.#rebuilt;
  }

  /** The best of the chunk's places that is wanted. @throws BkpError `OBJECT_MISSING` */
  async locate(id: ChunkId, isWanted: (place: Location) => boolean = () => true): Promise<Location> {
    const find = () => this.#index.locations(id).find(isWanted);
    const place = find();
    if (place !== undefined) return place;
    await this.run();
    const found = find();
    if (found === undefined) throw chunkMissing(id);
    return found;
  }
}

function chunkDamaged({id, pack, offset}: Location, cause: unknown): BkpError {
  const {code, message, next} = damaged(packKey(pack), `chunk ${id} at byte ${offset} is not what was written`);
  return new BkpError(code, message, {
    cause,
    ...(next === undefined ? {} : {next}),
    context: {key: packKey(pack), pack, chunk: id},
  });
}

export function chunkMissing(id: ChunkId): BkpError {
  return new BkpError('OBJECT_MISSING', `chunk ${id} is in no pack of the vault`, {
    next: 'VERIFY the collection to see what else is missing; then copy it again from a store that has it, or take a new full backup',
    context: {chunk: id},
  });
}
