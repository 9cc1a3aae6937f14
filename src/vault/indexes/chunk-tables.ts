import type {PackListing} from '../format/entry.ts';
import type {IndexId} from '../format/key.ts';
import {indexFlushEntries, indexFlushPacks} from '../format/limits.ts';
import type {ChunkId, PackId} from '../types.ts';
import type {CacheFile} from './cache-file.ts';
import {ChunkTable, type Location, type Place} from './chunk-table.ts';

/** A pack that no index lists is kept as if an index of the same id listed it alone. */
const indexOfOne = (pack: PackId) => pack as string as IndexId;

/** A pack as a listing shows it. */
export type Pack = {id: PackId; lengthBytes: number};

/**
 * The copy of the store's indexes, and beside it the packs that no index lists yet, by their own tables: those
 * of this writer, and those of writers that ended before they wrote an index.
 */
export class ChunkTables {
  readonly listed: ChunkTable;
  readonly #unlisted = ChunkTable.private();
  /** False as long as no pack was added to `#unlisted`; most look-ups need only one table then. */
  #hasUnlisted = false;

  /** @param cache holds the copy; closed with this object */
  constructor(cache: CacheFile) {
    this.listed = new ChunkTable(cache);
  }

  /** Where any index or pack table says that the chunk is, in packs that are gone too. */
  locations(chunk: ChunkId): Location[] {
    const listed = this.listed.locations(chunk);
    return this.#hasUnlisted ? [...listed, ...this.#unlisted.locations(chunk)] : listed;
  }

  /** The places of several chunks, one list for each, as `locations` of each would give them. */
  places(chunks: readonly ChunkId[]): Place[][] {
    const listed = this.listed.places(chunks);
    if (!this.#hasUnlisted) return listed;
    const unlisted = this.#unlisted.places(chunks);
    return listed.map((places, at) => [...places, ...unlisted[at]!]);
  }

  packLength(pack: PackId): number | undefined {
    return this.listed.packLength(pack) ?? this.#unlisted.packLength(pack);
  }

  /** Stored bytes of all chunks of the pack. */
  chunkBytes(pack: PackId): number {
    return Math.max(this.listed.chunkBytes(pack), this.#unlisted.chunkBytes(pack));
  }

  /** The pack as an index lists it, or would list it; undefined when it is not known. */
  listing(pack: PackId): PackListing | undefined {
    for (const table of [this.listed, this.#unlisted]) {
      const lengthBytes = table.packLength(pack);
      if (lengthBytes !== undefined) return {id: pack, lengthBytes, entries: table.entries(pack)};
    }
    return undefined;
  }

  async addUnlisted(pack: PackListing): Promise<void> {
    this.#hasUnlisted = true;
    await this.#unlisted.add(indexOfOne(pack.id), [pack]);
  }

  dropUnlisted(pack: PackId): void {
    this.#unlisted.drop(indexOfOne(pack));
  }

  unlisted(): Pack[] {
    return this.#unlisted.packs();
  }

  unlistedListings(): PackListing[] {
    return this.#unlisted.packs().map((pack) => ({...pack, entries: this.#unlisted.entries(pack.id)}));
  }

  /** True when enough packs or chunks are unlisted for an index of their own. */
  get wantsIndex(): boolean {
    return this.#unlisted.packs().length >= indexFlushPacks || this.#unlisted.chunkCount() >= indexFlushEntries;
  }

  /** Packs of indexes that another process added to the shared file after the store was listed. */
  packsAddedSince(listed: ReadonlySet<IndexId>): ReadonlySet<PackId> {
    const later = [...this.listed.indexes()].filter((id) => !listed.has(id));
    return new Set(later.flatMap((id) => this.listed.packsOfIndex(id)));
  }

  close(): void {
    this.listed.close();
    this.#unlisted.close();
  }
}
