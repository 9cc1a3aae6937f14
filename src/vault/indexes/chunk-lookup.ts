import type {PackListing} from '../format/entry.ts';
import type {IndexId} from '../format/key.ts';
import type {ChunkId, PackId} from '../types.ts';
import type {Location, Place} from './chunk-table.ts';
import type {ChunkTables} from './chunk-tables.ts';
import type {PackTrust} from './pack-trust.ts';
import type {Removals} from './removals.ts';

/** Where chunks are, as far as it is known, and on which of these locations a backup may rely. */
export abstract class ChunkLookup {
  protected abstract tables: ChunkTables;
  protected abstract trust: PackTrust;

  /** Every location from which the chunk can be read, the best first. */
  locations(chunk: ChunkId): Location[] {
    const all = this.namedLocations(chunk);
    return this.trust.absent.size === 0 ? all : all.filter((location) => this.#isReadable(location));
  }

  /** The best location; undefined when the chunk, or the base of every form of it, is in no pack of the store. */
  locate(chunk: ChunkId): Location | undefined {
    return this.locations(chunk)[0];
  }

  /**
   * The places of several chunks, one list for each: those of `locations`, in the same order. Faster than that for many
   * chunks; give it a few hundred at a time.
   */
  places(chunks: readonly ChunkId[]): Place[][] {
    const all = this.tables.places(chunks).map((places) => this.#ranked(places));
    if (this.trust.absent.size === 0) return all;
    return all.map((places) => places.filter((place) => this.#isReadable(place)));
  }

  /** Every location that an index or pack table names, in packs that are gone too; the best first. */
  namedLocations(chunk: ChunkId): Location[] {
    return this.#ranked(this.tables.locations(chunk));
  }

  #ranked<P extends Place>(places: P[]): P[] {
    if (places.length < 2) return places;
    const rank = ({pack, base}: Place) => 2 * this.trust.rank(pack) + Number(base !== undefined);
    return places.sort((a, b) => rank(a) - rank(b));
  }

  #isReadable({pack, base}: Place): boolean {
    const {absent} = this.trust;
    if (absent.has(pack)) return false;
    if (base === undefined) return true;
    return this.tables.locations(base).some((location) => location.base === undefined && !absent.has(location.pack));
  }

  /** True when a backup may rely on the chunk: nothing is known against its pack, nor against its base's. */
  hasReliable(chunk: ChunkId): boolean {
    const locations = this.locations(chunk).filter(({pack}) => this.mayRelyOn(pack));
    return locations.some(({base}) => base === undefined || this.hasReliableBase(base));
  }

  /** True when a difference may rely on the chunk as its base. */
  hasReliableBase(chunk: ChunkId): boolean {
    return this.locations(chunk).some(({pack, base}) => base === undefined && this.mayRelyOn(pack));
  }

  /** False for a pack that was found damaged, or that a collector is about to remove. */
  mayRelyOn(pack: PackId): boolean {
    return this.trust.mayRelyOn(pack);
  }

  /** True when a collector noted that it removes the pack, and the note is still there. */
  isToBeRemoved(pack: PackId): boolean {
    return this.trust.isToBeRemoved(pack);
  }

  removals(): Removals {
    return this.trust.removals;
  }

  /**
   * Call this before relying on any pack.
   * @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` naming a note of removals that cannot be read
   */
  requireReadableRemovals(): void {
    const {fault} = this.trust.removals;
    if (fault !== undefined) throw fault;
  }

  isDistrusted(pack: PackId): boolean {
    return this.trust.damaged.has(pack);
  }

  distrustedPacks(): ReadonlySet<PackId> {
    return this.trust.damaged;
  }

  /** Packs that an index lists but that the last observation did not show with their length. */
  absentPacks(): ReadonlySet<PackId> {
    return this.trust.absent;
  }

  packLength(pack: PackId): number | undefined {
    return this.tables.packLength(pack);
  }

  /** Stored bytes of all chunks of the pack. */
  chunkBytes(pack: PackId): number {
    return this.tables.chunkBytes(pack);
  }

  listing(pack: PackId): PackListing | undefined {
    return this.tables.listing(pack);
  }

  indexes(): Set<IndexId> {
    return this.tables.listed.indexes();
  }

  indexesOfPack(pack: PackId): IndexId[] {
    return this.tables.listed.indexesOfPack(pack);
  }

  packsOfIndex(index: IndexId): PackId[] {
    return this.tables.listed.packsOfIndex(index);
  }
}
