import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import {decodeChunk} from '../codec/decode.ts';
import {damaged, isDamage} from '../format/damage.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId} from '../types.ts';
import {RecentBases} from './recent-bases.ts';
import {chunkMissing, type Recovery} from './recovery.ts';

/** Reads and decodes chunks. Every chunk is checked against its id. */
export class ChunkReader {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  readonly #bases = new RecentBases();

  constructor(store: Store, index: ChunkIndex) {
    this.#store = store;
    this.#index = index;
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

  /** Reads adjacent chunks of one pack and checks them. It decodes one at a time, to save memory. */
  async checkRange(locations: readonly Location[], recovery: Recovery): Promise<void> {
    const stored = await this.getRange(locations);
    for (const location of locations) await this.decode(location, stored, locations[0]!.offset, recovery);
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
      return await decodeChunk(location, stored.subarray(at, at + location.storedBytes), base);
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

function chunkDamaged({id, pack, offset}: Location, cause: unknown): BkpError {
  const {code, message, next} = damaged(packKey(pack), `chunk ${id} at byte ${offset} is not what was written`);
  return new BkpError(code, message, {
    cause,
    ...(next === undefined ? {} : {next}),
    context: {key: packKey(pack), pack, chunk: id},
  });
}
