import {mapConcurrent} from '../../lib/async.ts';
import type {Borrowed} from '../codec/group-decoder.ts';
import {isDamage} from '../format/damage.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId} from '../types.ts';
import {type ChunkReader, groupBytes} from './chunk-reader.ts';
import type {Recovery} from './recovery.ts';

/** Groups read ahead: at most about 6 MiB of chunks of usual size wait for the caller, and as much of their bases. */
export const groupsAtOnce = 3;

/** Adjacent chunks of one pack, or one chunk that the index does not know (then `locations` is empty). */
type Group = {ids: ChunkId[]; locations: Location[]};

/** Reads many chunks in order, adjacent ones with one request, a few requests ahead. */
export class GroupReader {
  readonly #index: ChunkIndex;
  readonly #chunks: ChunkReader;

  constructor(index: ChunkIndex, chunks: ChunkReader) {
    this.#index = index;
    this.#chunks = chunks;
  }

  /** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` */
  read(ids: AsyncIterable<ChunkId>, recovery: Recovery): AsyncGenerator<Borrowed> {
    return mapConcurrent(this.#groups(ids), groupsAtOnce, (group) => this.#load(group, recovery));
  }

  async *#groups(ids: AsyncIterable<ChunkId>): AsyncGenerator<Group> {
    let group: Group = {ids: [], locations: []};
    let plainBytes = 0;
    for await (const id of ids) {
      const location = this.#index.locate(id);
      const last = group.locations.at(-1);
      const isAdjacent =
        location !== undefined &&
        last?.pack === location.pack &&
        last.offset + last.storedBytes === location.offset &&
        plainBytes + location.plainBytes <= groupBytes;
      if (!isAdjacent && group.ids.length > 0) {
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

  async #load({ids, locations}: Group, recovery: Recovery): Promise<Borrowed> {
    try {
      if (locations.length === ids.length) return await this.#read(locations, recovery);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    // One chunk at a time, each from any location that still has it.
    const chunks: Uint8Array[] = [];
    for (const id of ids) chunks.push(await this.#chunks.load(id, recovery));
    return {chunks};
  }

  async #read(locations: readonly Location[], recovery: Recovery): Promise<Borrowed> {
    const read = () => this.#chunks.getRange(locations);
    const decoded = await this.#chunks.decodeGroup(locations, read);
    return decoded ?? {chunks: await this.#chunks.readRange(locations, recovery)};
  }
}
