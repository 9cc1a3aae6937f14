import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import {decodeChunk} from '../codec/decode.ts';
import type {DecodeJob} from '../codec/decode-threads.ts';
import {type Borrowed, GroupDecoder} from '../codec/group-decoder.ts';
import {damaged, isDamage} from '../format/damage.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId} from '../types.ts';
import {RecentBases} from './recent-bases.ts';
import {chunkMissing, type Recovery} from './recovery.ts';
import {storedBases} from './stored-bases.ts';

/**
 * One request to the store reads at most this many plain bytes, and a thread decodes as many at a time (a single
 * chunk may be larger). From a disk, reading twice as much is not faster.
 */
export const groupBytes = 2 * 1024 * 1024;

/** Chunks of indexes have up to 3 MiB, and those of tables 2 MiB, unless they are a single record. */
const usualBytes = 3 * 1024 * 1024;

/** Threads take about as long to start as this thread takes to decode this much, so less is decoded here. */
const threadsFromBytes = 32 * 1024 * 1024;

/** Reads and decodes chunks. Every chunk is checked against its id. */
export class ChunkReader {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  readonly #bases = new RecentBases();
  readonly #decoder = new GroupDecoder(usualBytes);
  /** Plain bytes of the groups so far. */
  #groupedBytes = 0;

  readonly #saw: ((locations: readonly Location[]) => void) | undefined;

  /** @param saw is called with adjacent chunks of one pack that were read and are intact */
  constructor(store: Store, index: ChunkIndex, saw?: (locations: readonly Location[]) => void) {
    this.#store = store;
    this.#index = index;
    this.#saw = saw;
  }

  /** Stored bytes from the first to the last of these chunks, which are in one pack in this order. */
  getRange(locations: readonly Location[]): Promise<Uint8Array> {
    const first = locations[0]!;
    const last = locations.at(-1)!;
    return this.#store.get(packKey(first.pack), {start: first.offset, end: last.offset + last.storedBytes});
  }

  /**
   * Adjacent chunks of one pack, read with one request; all are in memory at the same time.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` naming the chunk at fault
   */
  async readRange(locations: readonly Location[], recovery: Recovery): Promise<Uint8Array[]> {
    const stored = await this.getRange(locations);
    return Promise.all(locations.map((location) => this.decode(location, stored, locations[0]!.offset, recovery)));
  }

  /** Reads adjacent chunks of one pack and checks them. It decodes few at a time, to save memory. */
  async checkRange(locations: readonly Location[], recovery: Recovery): Promise<void> {
    const stored = await this.getRange(locations);
    const from = locations[0]!.offset;
    for (const location of await this.notIntact(locations, stored, from)) {
      await this.decode(location, stored, from, recovery);
    }
  }

  /**
   * Checks chunks of one pack on threads, if they are worth it.
   * @param stored a part of the pack that has all of them, from the byte `from` on
   * @returns the chunks that were not found intact: {@link ChunkReader.decode} says what is wrong, if anything
   */
  async notIntact(locations: readonly Location[], stored: Uint8Array, from: number): Promise<readonly Location[]> {
    const left: Location[] = [];
    for (const group of groupsOf(locations)) {
      const [first, last] = [group[0]!, group.at(-1)!];
      // A copy, which the thread takes over.
      const copy = async () =>
        new Uint8Array(stored.subarray(first.offset - from, last.offset + last.storedBytes - from));
      const isIntact = await this.#checkGroup(group, copy).catch((error: unknown) => {
        if (!isDamage(error)) throw error;
        return false;
      });
      if (!isIntact) left.push(...group);
    }
    return left;
  }

  /**
   * Decodes chunks of one pack on threads. These do not report what is wrong: {@link ChunkReader.decode} does.
   * @param read the stored bytes from the first chunk's beginning to the last one's end; the thread takes them over
   * @returns undefined when a chunk is not what was written, or so little was decoded so far that no thread was asked
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` about a base
   */
  async decodeGroup(group: readonly Location[], read: () => Promise<Uint8Array>): Promise<Borrowed | undefined> {
    const job = await this.#job(group, read);
    const decoded = job && (await this.#decoder.decode(job));
    if (decoded !== undefined) this.#saw?.(group);
    return decoded;
  }

  async #checkGroup(group: readonly Location[], read: () => Promise<Uint8Array>): Promise<boolean> {
    const job = await this.#job(group, read);
    return job !== undefined && this.#decoder.check(job);
  }

  /** @returns undefined while so little was decoded that threads are not worth it */
  async #job(
    group: readonly Location[],
    read: () => Promise<Uint8Array>,
  ): Promise<Omit<DecodeJob, 'into'> | undefined> {
    this.#groupedBytes += group.reduce((sum, {plainBytes}) => sum + plainBytes, 0);
    if (this.#groupedBytes < threadsFromBytes) return undefined;
    const from = group[0]!.offset;
    const wanted = new Set(group.flatMap(({base}) => base ?? []));
    const [stored, bases] = await Promise.all([read(), storedBases(this.#store, this.#index, wanted)]);
    const chunks = group.map(({id, offset, storedBytes, plainBytes, encoding, base}) => ({
      ...{id, storedBytes, plainBytes, encoding, at: offset - from},
      base: base === undefined ? undefined : bases.get(base),
    }));
    return {stored, chunks};
  }

  /**
   * The plain bytes of a chunk.
   * @param stored a part of its pack that was already read, from the byte `from` on
   * @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING`
   */
  async decode(location: Location, stored: Uint8Array, from: number, recovery: Recovery): Promise<Uint8Array> {
    const base = location.base === undefined ? undefined : await this.base(location.base, recovery);
    const at = location.offset - from;
    try {
      const bytes = await decodeChunk(location, stored.subarray(at, at + location.storedBytes), base);
      this.#saw?.([location]);
      return bytes;
    } catch (error) {
      throw chunkDamaged(location, error);
    }
  }

  /**
   * One chunk, from any location that `isUsable` accepts.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`
   */
  async load(
    id: ChunkId,
    recovery: Recovery,
    isUsable: (location: Location) => boolean = () => true,
  ): Promise<Uint8Array> {
    const first = await this.#tryLocations(id, recovery, isUsable);
    if (first.bytes !== undefined) return first.bytes;
    await recovery.run();
    const second = await this.#tryLocations(id, recovery, isUsable);
    if (second.bytes !== undefined) return second.bytes;
    throw second.error;
  }

  async #tryLocations(
    id: ChunkId,
    recovery: Recovery,
    isUsable: (location: Location) => boolean,
  ): Promise<{bytes: Uint8Array} | {bytes?: undefined; error: unknown}> {
    let firstError: unknown;
    for (const location of this.#index.locations(id).filter(isUsable)) {
      try {
        const [bytes] = await this.readRange([location], recovery);
        return {bytes: bytes!};
      } catch (error) {
        if (!isDamage(error)) throw error;
        firstError ??= error;
      }
    }
    return {error: firstError ?? chunkMissing(id)};
  }

  /** The plain bytes of a chunk that others are stored as differences to. */
  base(id: ChunkId, recovery: Recovery): Promise<Uint8Array> {
    // Only a self-contained form: a damaged table could name two chunks as each other's bases.
    return this.#bases.get(id, () => this.load(id, recovery, (location) => location.base === undefined));
  }
}

/** In order, of at most {@link groupBytes} plain bytes; a larger chunk is alone. */
function* groupsOf(locations: readonly Location[]): Generator<readonly Location[]> {
  let group: Location[] = [];
  let bytes = 0;
  for (const location of locations) {
    if (group.length > 0 && bytes + location.plainBytes > groupBytes) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(location);
    bytes += location.plainBytes;
  }
  if (group.length > 0) yield group;
}

function chunkDamaged({id, pack, offset}: Location, cause: unknown): BkpError {
  const {code, message, next} = damaged(packKey(pack), `chunk ${id} at byte ${offset} is not what was written`);
  return new BkpError(code, message, {
    cause,
    ...(next === undefined ? {} : {next}),
    context: {key: packKey(pack), pack, chunk: id},
  });
}
