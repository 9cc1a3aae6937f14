import {forEachConcurrent} from '../../lib/async.ts';
import type {Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import type {PackListing} from '../format/entry.ts';
import {readIndex, writeIndex} from '../format/index-object.ts';
import {type IndexId, indexKey, indexOfKey, indexPrefix, packKey, packsPrefix} from '../format/key.ts';
import {indexFlushEntries, indexFlushPacks} from '../format/limits.ts';
import {readPackTable} from '../format/pack.ts';
import type {Leases} from '../lease/objects.ts';
import type {ChunkId, Finding, PackId} from '../types.ts';
import {CacheFile} from './cache-file.ts';
import {ChunkTable, type Location} from './chunk-table.ts';
import {forgetDamage} from './damage-notes.ts';
import {type Listing, listIndexes, listVault, type PacksInStore} from './listing.ts';
import {type Removals, readRemovals} from './removals.ts';

/** Indexes and tables fetched at once; each is small. */
const fetchesAtOnce = 6;

/** A collector that works beside us replaces indexes while we list them; after this often there is another reason. */
const syncTries = 5;

/** A pack that no index lists is kept as if an index of the same id listed it alone. */
const indexOfOne = (pack: PackId) => pack as string as IndexId;

/**
 * A listing of the store, and what was known before it began: what others (of this home, through the shared file, or of this
 * process) add while it runs is in neither, and is not called gone because of it.
 */
export type Observation = {
  leases: Leases;
  listing: Listing;
  before: {indexes: ReadonlySet<IndexId>; unlisted: readonly {id: PackId; lengthBytes: number}[]};
};

/**
 * Which chunk lies where: what the store's indexes say (a copy of them, kept in the cache file), and beside it the packs that no index
 * lists yet, by their own tables: ours, and those of writers that ended before their index.
 */
export class ChunkIndex {
  readonly #store: Store;
  readonly #randomId: () => string;
  #listed: ChunkTable;
  #unlisted: ChunkTable;
  /** Replaced by a rebuild; calls that began before it may still use them. */
  readonly #retired: ChunkTable[] = [];
  /** The table's generation that was synced; a copy that was not yet is brought up to date when it is first needed. */
  #syncedGeneration: number | undefined;
  #syncing: Promise<void> | undefined;
  /** Packs that an index lists and that are not there, or not with their length. */
  #absent = new Set<PackId>();
  /** Packs that a verification found damaged: read from when there is nothing better, and never counted on. */
  #distrusted = new Set<PackId>();
  /** Notes of collectors: which packs may go at any moment. They are read from, and never counted on. */
  #removals: Removals = {packs: new Map()};
  #toRemove = new Set<PackId>();
  /** Indexes that cannot be read, packs whose tables cannot be: told by `verify`. */
  readonly faults = new Map<string, Finding>();

  /** Nothing is read from the store before it is needed. @param cache where the copy is kept; closed with this object */
  constructor(store: Store, cache: CacheFile, randomId: () => string) {
    this.#store = store;
    this.#randomId = randomId;
    this.#listed = new ChunkTable(cache);
    this.#unlisted = ChunkTable.private();
  }

  close(): void {
    for (const table of [this.#listed, this.#unlisted, ...this.#retired]) table.close();
  }

  /** To be awaited before the first look-up: the copy is then no older than this object. */
  async ready(): Promise<void> {
    if (this.#syncedGeneration === this.#listed.generation) return;
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  /** Brings the copy to what `index/` holds now: new indexes are fetched, those that are gone are dropped. */
  async #sync(): Promise<void> {
    for (let tries = 1; tries <= syncTries; tries++) {
      const before = this.#listed.indexes();
      if (await this.#syncTo(await listIndexes(this.#store), before)) return;
    }
  }

  /** One listing of all that lies in the store, for `apply`. */
  async observe(): Promise<Observation> {
    const before = {indexes: this.#listed.indexes(), unlisted: this.#unlisted.packs()};
    const listing = await listVault(this.#store);
    return {leases: listing.leases, listing, before};
  }

  /**
   * Brings the copy to what a look showed; packs that no index lists are taken in by their own tables, packs that are gone or
   * have the wrong length are known for it from now on.
   * @returns every pack there with its length and age
   */
  async apply(observation: Observation): Promise<PacksInStore> {
    for (let tries = 1; ; tries++) {
      const isComplete = await this.#syncTo(observation.listing.indexes, observation.before.indexes);
      const removals = await readRemovals(this.#store, observation.listing.removals);
      if (removals !== undefined) this.#noteRemovals(removals);
      if ((isComplete && removals !== undefined) || tries === syncTries) break;
      observation = await this.observe();
    }
    await this.#survey(observation);
    return observation.listing.packs;
  }

  #noteRemovals(removals: Removals): void {
    this.#removals = removals;
    this.#toRemove = new Set([...removals.packs.values()].flat());
  }

  /** @returns false when an index went away between the listing and the reading, or the cache file failed */
  async #syncTo(there: ReadonlySet<IndexId>, known: ReadonlySet<IndexId>): Promise<boolean> {
    const {generation} = this.#listed;
    for (const id of known) if (!there.has(id)) this.#listed.drop(id);
    for (const key of [...this.faults.keys()]) if (key.startsWith(indexPrefix)) this.faults.delete(key);
    const have = this.#listed.indexes();
    let complete = true;
    await forEachConcurrent(
      [...there].filter((id) => !have.has(id)),
      fetchesAtOnce,
      async (id) => {
        try {
          const packs = await readIndex(this.#store, id);
          await this.#listed.add(id, packs);
        } catch (error) {
          if (!isDamage(error)) throw error;
          if (error.code === 'OBJECT_MISSING') complete = false;
          else this.#fault({what: 'damaged', key: indexKey(id), detail: error.message});
        }
      },
    );
    // A cache file that failed took what was known before with it.
    if (this.#listed.generation !== generation) return false;
    this.#syncedGeneration = generation;
    return complete;
  }

  async #survey({listing, before}: Observation): Promise<void> {
    const there = listing.packs;
    this.#distrusted = new Set(listing.damaged);
    const isAbsent = (pack: {id: PackId; lengthBytes: number}) => there.get(pack.id)?.lengthBytes !== pack.lengthBytes;
    const later = this.#packsAddedSince(listing.indexes);
    const absent = this.#listed.packs().filter((pack) => isAbsent(pack) && !later.has(pack.id));
    this.#absent = new Set(absent.map(({id}) => id));
    for (const {id} of before.unlisted.filter(isAbsent)) this.#unlisted.drop(indexOfOne(id));
    for (const key of [...this.faults.keys()]) if (key.startsWith(packsPrefix)) this.faults.delete(key);
    const strangers = [...there].filter(([id]) => !this.#isKnown(id));
    await forEachConcurrent(strangers, fetchesAtOnce, async ([id, {lengthBytes}]) => {
      try {
        await this.addUnlisted({id, lengthBytes, entries: await readPackTable(this.#store, id, lengthBytes)});
      } catch (error) {
        if (!isDamage(error)) throw error;
        if (error.code === 'OBJECT_DAMAGED') {
          this.#fault({what: 'damaged', key: packKey(id), pack: id, detail: error.message});
        }
      }
    });
  }

  /** Packs of indexes that came into the shared file after the store was listed. */
  #packsAddedSince(listed: ReadonlySet<IndexId>): ReadonlySet<PackId> {
    const later = [...this.#listed.indexes()].filter((id) => !listed.has(id));
    return new Set(later.flatMap((id) => this.#listed.packsOfIndex(id)));
  }

  /** A pack that is in the store, and in no index yet. */
  async addUnlisted(pack: PackListing): Promise<void> {
    await this.#unlisted.add(indexOfOne(pack.id), [pack]);
  }

  /** True when enough came together for an index of its own. */
  get wantsFlush(): boolean {
    return this.#unlisted.packs().length >= indexFlushPacks || this.#unlisted.chunkCount() >= indexFlushEntries;
  }

  /** Packs that no index lists, of those that were seen. */
  unlistedPacks(): PackId[] {
    return this.#unlisted.packs().map(({id}) => id);
  }

  /**
   * Writes the index of all packs that have none.
   * @returns bytes written
   */
  async flush(): Promise<number> {
    const packs = this.#unlisted.packs().map((pack) => this.#listing(this.#unlisted, pack));
    if (packs.length === 0) return 0;
    const {id, sizeBytes} = await writeIndex(this.#store, packs, this.#randomId());
    await this.#listed.add(id, packs);
    for (const pack of packs) this.#unlisted.drop(indexOfOne(pack.id));
    return sizeBytes;
  }

  /** Every place where the chunk can be read from, the best first. */
  locations(chunk: ChunkId): Location[] {
    const all = this.#allLocations(chunk);
    return this.#absent.size === 0 ? all : all.filter((location) => this.#isUsable(location));
  }

  /** The best place; undefined when the chunk, or the base of every form of it, is in no pack that is there. */
  locate(chunk: ChunkId): Location | undefined {
    return this.locations(chunk)[0];
  }

  #allLocations(chunk: ChunkId): Location[] {
    const locations = [...this.#listed.locations(chunk), ...this.#unlisted.locations(chunk)];
    if (locations.length < 2) return locations;
    const rank = ({pack, base}: Location) =>
      4 * Number(this.#distrusted.has(pack)) + 2 * Number(this.#toRemove.has(pack)) + Number(base !== undefined);
    return locations.sort((a, b) => rank(a) - rank(b));
  }

  /** True when a backup may count on the chunk's being there: nothing is known against its pack, or its base's. */
  hasReliable(chunk: ChunkId): boolean {
    const places = this.locations(chunk).filter(({pack}) => this.mayRelyOn(pack));
    return places.some(({base}) => base === undefined || this.hasReliableBase(base));
  }

  /** True when a difference may count on the chunk as its base. */
  hasReliableBase(chunk: ChunkId): boolean {
    return this.locations(chunk).some((place) => this.#isBase(place));
  }

  #isBase({pack, base}: Location): boolean {
    return base === undefined && this.mayRelyOn(pack);
  }

  /** False for a pack that was found damaged, or that a collector is about to remove. */
  mayRelyOn(pack: PackId): boolean {
    return !this.#distrusted.has(pack) && !this.#toRemove.has(pack);
  }

  /** A collector is about to remove it, or was. */
  isToBeRemoved(pack: PackId): boolean {
    return this.#toRemove.has(pack);
  }

  removals(): Removals {
    return this.#removals;
  }

  /** To be called before anything is counted on. @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` naming a note of a removal */
  requireReadableRemovals(): void {
    if (this.#removals.fault !== undefined) throw this.#removals.fault;
  }

  isDistrusted(pack: PackId): boolean {
    return this.#distrusted.has(pack);
  }

  /** The packs are whole again, or gone: their notes go. */
  async clearDamage(packs: Iterable<PackId>): Promise<void> {
    const noted = [...packs].filter((pack) => this.#distrusted.has(pack));
    await forgetDamage(this.#store, noted);
    for (const pack of noted) this.#distrusted.delete(pack);
  }

  distrustedPacks(): ReadonlySet<PackId> {
    return this.#distrusted;
  }

  #isUsable({pack, base}: Location): boolean {
    if (this.#absent.has(pack)) return false;
    if (base === undefined) return true;
    return this.#allLocations(base).some((location) => location.base === undefined && !this.#absent.has(location.pack));
  }

  /** Every place that any index or table names, even in packs that are gone. */
  namedLocations(chunk: ChunkId): Location[] {
    return this.#allLocations(chunk);
  }

  packLength(pack: PackId): number | undefined {
    return this.#listed.packLength(pack) ?? this.#unlisted.packLength(pack);
  }

  /** Stored bytes of all chunks of the pack. */
  chunkBytes(pack: PackId): number {
    return Math.max(this.#listed.chunkBytes(pack), this.#unlisted.chunkBytes(pack));
  }

  /** What an index says of the pack. */
  listing(pack: PackId): PackListing | undefined {
    for (const table of [this.#listed, this.#unlisted]) {
      const lengthBytes = table.packLength(pack);
      if (lengthBytes !== undefined) return this.#listing(table, {id: pack, lengthBytes});
    }
    return undefined;
  }

  /** Packs that an index lists and that were not in the store, or not with their length, when it was last surveyed. */
  absentPacks(): ReadonlySet<PackId> {
    return this.#absent;
  }

  indexes(): Set<IndexId> {
    return this.#listed.indexes();
  }

  /** What the index says is read from the store again by the next `apply`. */
  forget(id: IndexId): void {
    this.#listed.drop(id);
  }

  /** Indexes in the store that cannot be read. */
  damagedIndexes(): IndexId[] {
    return [...this.faults.keys()].map(indexOfKey).filter((id) => id !== undefined);
  }

  indexesOfPack(pack: PackId): IndexId[] {
    return this.#listed.indexesOfPack(pack);
  }

  packsOfIndex(index: IndexId): PackId[] {
    return this.#listed.packsOfIndex(index);
  }

  /**
   * Starts again from the store alone. For when something was not where it should be: the copy may be stale (a collector
   * moved chunks meanwhile) or wrong. The shared file is emptied, so the next one to open it reads the store too.
   * @returns every pack there with its length and age
   */
  async rebuild(): Promise<PacksInStore> {
    const old = this.#listed;
    const fresh = new ChunkIndex(this.#store, CacheFile.private(), this.#randomId);
    const there = await fresh.apply(await fresh.observe());
    this.#retired.push(this.#listed, this.#unlisted);
    this.#listed = fresh.#listed;
    this.#syncedGeneration = fresh.#listed.generation;
    this.#unlisted = fresh.#unlisted;
    this.#absent = fresh.#absent;
    this.#distrusted = fresh.#distrusted;
    this.#noteRemovals(fresh.#removals);
    this.faults.clear();
    for (const [key, fault] of fresh.faults) this.faults.set(key, fault);
    old.clear();
    return there;
  }

  #listing(table: ChunkTable, pack: {id: PackId; lengthBytes: number}): PackListing {
    return {...pack, entries: table.entries(pack.id)};
  }

  #isKnown(pack: PackId): boolean {
    return this.#listed.packLength(pack) !== undefined || this.#unlisted.packLength(pack) !== undefined;
  }

  #fault(finding: Finding): void {
    this.faults.set(finding.key!, finding);
  }
}
