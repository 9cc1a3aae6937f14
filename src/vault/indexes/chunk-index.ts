import type {Store} from '../../stores/index.ts';
import type {PackListing} from '../format/entry.ts';
import {writeIndex} from '../format/index-object.ts';
import {type IndexId, indexOfKey, indexPrefix, packsPrefix} from '../format/key.ts';
import type {Leases} from '../lease/objects.ts';
import type {Finding, PackId} from '../types.ts';
import {CacheFile} from './cache-file.ts';
import {ChunkLookup} from './chunk-lookup.ts';
import {ChunkTables, type Pack} from './chunk-tables.ts';
import {forgetDamage} from './damage-notes.ts';
import {fetchIndexes, fetchPackTables} from './fetch.ts';
import {type Listing, listIndexes, listVault, type PacksInStore} from './listing.ts';
import {PackTrust} from './pack-trust.ts';
import {readRemovals} from './removals.ts';

/**
 * A concurrent collector replaces indexes while they are listed. After this many attempts the cause is another
 * one.
 */
const syncTries = 5;

/**
 * A listing of the store, and what was known before it began. What other processes (through the shared cache
 * file) or this one add while the listing runs is in neither, so it is not mistaken for removed.
 */
export type Observation = {
  leases: Leases;
  listing: Listing;
  before: {indexes: ReadonlySet<IndexId>; unlisted: readonly Pack[]};
};

/** Keeps the look-ups up to date with the indexes and pack tables in the store, and writes new indexes. */
export class ChunkIndex extends ChunkLookup {
  readonly #store: Store;
  readonly #randomId: () => string;
  protected override tables: ChunkTables;
  /** Replaced by a rebuild; calls that began before it may still use them. */
  readonly #retired: ChunkTables[] = [];
  /** The generation of the table that was synced. A copy from an earlier run is synced when it is first needed. */
  #syncedGeneration: number | undefined;
  #syncing: Promise<void> | undefined;
  protected override trust = new PackTrust();
  /** Indexes and pack tables that cannot be read, by key; reported by `verify`. */
  readonly faults = new Map<string, Finding>();

  /** Reads nothing from the store until it is needed. @param cache holds the copy; closed with this object */
  constructor(store: Store, cache: CacheFile, randomId: () => string) {
    super();
    this.#store = store;
    this.#randomId = randomId;
    this.tables = new ChunkTables(cache);
  }

  close(): void {
    for (const tables of [this.tables, ...this.#retired]) tables.close();
  }

  /** Await this before the first look-up: the copy is then no older than this object. */
  async ready(): Promise<void> {
    if (this.#syncedGeneration === this.tables.listed.generation) return;
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  async #sync(): Promise<void> {
    for (let tries = 1; tries <= syncTries; tries++) {
      const before = this.tables.listed.indexes();
      if (await this.#syncTo(await listIndexes(this.#store), before)) return;
    }
  }

  /** Lists everything in the store, for `apply`. */
  async observe(): Promise<Observation> {
    const before = {indexes: this.tables.listed.indexes(), unlisted: this.tables.unlisted()};
    const listing = await listVault(this.#store);
    return {leases: listing.leases, listing, before};
  }

  /**
   * Updates the copy to an observation: fetches new indexes and drops removed ones, reads the tables of packs
   * that no index lists, and remembers which packs are absent, damaged or about to be removed.
   * @returns every pack in the store with its length and age
   */
  async apply(observation: Observation): Promise<PacksInStore> {
    for (let tries = 1; ; tries++) {
      const isComplete = await this.#syncTo(observation.listing.indexes, observation.before.indexes);
      const removals = await readRemovals(this.#store, observation.listing.removals);
      if (removals !== undefined) this.trust.removals = removals;
      if ((isComplete && removals !== undefined) || tries === syncTries) break;
      observation = await this.observe();
    }
    await this.#applyPacks(observation);
    return observation.listing.packs;
  }

  /** @returns false when an index was removed between the listing and the read, or the cache file failed */
  async #syncTo(present: ReadonlySet<IndexId>, known: ReadonlySet<IndexId>): Promise<boolean> {
    const {listed} = this.tables;
    const {generation} = listed;
    for (const id of known) if (!present.has(id)) listed.drop(id);
    const have = listed.indexes();
    const missing = [...present].filter((id) => !have.has(id));
    const {isComplete, faults} = await fetchIndexes(this.#store, missing, listed);
    this.#replaceFaults(indexPrefix, faults);
    // A cache file that failed lost what was known before.
    if (listed.generation !== generation) return false;
    this.#syncedGeneration = generation;
    return isComplete;
  }

  async #applyPacks({listing, before}: Observation): Promise<void> {
    const {packs, indexes, damaged} = listing;
    const tables = this.tables;
    const isAbsent = (pack: Pack) => packs.get(pack.id)?.lengthBytes !== pack.lengthBytes;
    const later = tables.packsAddedSince(indexes);
    const absent = tables.listed.packs().filter((pack) => isAbsent(pack) && !later.has(pack.id));
    this.trust.damaged = damaged;
    this.trust.absent = new Set(absent.map(({id}) => id));
    for (const {id} of before.unlisted.filter(isAbsent)) tables.dropUnlisted(id);
    const unknown = [...packs].filter(([id]) => tables.packLength(id) === undefined);
    const toFetch = unknown.map(([id, {lengthBytes}]) => ({id, lengthBytes}));
    const {faults} = await fetchPackTables(this.#store, toFetch, tables);
    this.#replaceFaults(packsPrefix, faults);
  }

  #replaceFaults(prefix: string, faults: readonly Finding[]): void {
    for (const key of [...this.faults.keys()]) if (key.startsWith(prefix)) this.faults.delete(key);
    for (const fault of faults) this.faults.set(fault.key!, fault);
  }

  /**
   * Starts again from the store alone, for when an object was not where the copy says. The copy may be stale,
   * because a collector moved chunks meanwhile, or wrong. The shared file is emptied, so the next process that
   * opens it reads the store too.
   * @returns every pack in the store with its length and age
   */
  async rebuild(): Promise<PacksInStore> {
    const fresh = new ChunkIndex(this.#store, CacheFile.private(), this.#randomId);
    const packs = await fresh.apply(await fresh.observe());
    const old = this.tables;
    this.#retired.push(old);
    this.tables = fresh.tables;
    this.#syncedGeneration = fresh.#syncedGeneration;
    this.trust = fresh.trust;
    this.faults.clear();
    for (const [key, fault] of fresh.faults) this.faults.set(key, fault);
    old.listed.clear();
    return packs;
  }

  /** Adds a pack that is in the store and in no index yet. */
  async addUnlisted(pack: PackListing): Promise<void> {
    await this.tables.addUnlisted(pack);
  }

  /** True when enough packs or chunks are unlisted for an index of their own. */
  get wantsFlush(): boolean {
    return this.tables.wantsIndex;
  }

  /** Known packs that no index lists. */
  unlistedPacks(): PackId[] {
    return this.tables.unlisted().map(({id}) => id);
  }

  /**
   * Writes one index of all packs that have none.
   * @param options.readBack for an index that no listing will show to be there
   * @returns bytes written
   */
  async flush(options: {readBack?: boolean} = {}): Promise<number> {
    const tables = this.tables;
    const packs = tables.unlistedListings();
    if (packs.length === 0) return 0;
    const {id, sizeBytes} = await writeIndex(this.#store, packs, this.#randomId(), options);
    await tables.listed.add(id, packs);
    for (const pack of packs) tables.dropUnlisted(pack.id);
    return sizeBytes;
  }

  /**
   * To be called with a later listing: what is known only by indexes that are not in it becomes unlisted again, for the
   * next {@link flush}. The store confirmed the put of such an index, and did not keep it.
   */
  async forgetLost(packs: Iterable<PackId>, listed: ReadonlySet<IndexId>): Promise<void> {
    const {tables} = this;
    for (const pack of packs) {
      const indexes = this.indexesOfPack(pack);
      if (indexes.some((id) => listed.has(id))) continue;
      for (const id of indexes) {
        const lost = this.packsOfIndex(id).flatMap((one) => tables.listing(one) ?? []);
        for (const one of lost) await tables.addUnlisted(one);
        tables.listed.drop(id);
      }
    }
  }

  /** Removes the damage notes of packs that are intact again, or gone. */
  async clearDamage(packs: Iterable<PackId>): Promise<void> {
    const noted = [...packs].filter((pack) => this.isDistrusted(pack));
    await forgetDamage(this.#store, noted);
    this.trust.clearDamage(noted);
  }

  /** Drops an index from the copy; the next `apply` reads it from the store again. */
  forget(id: IndexId): void {
    this.tables.listed.drop(id);
  }

  /** Indexes in the store that cannot be read. */
  damagedIndexes(): IndexId[] {
    return [...this.faults.keys()].map(indexOfKey).filter((id) => id !== undefined);
  }
}
