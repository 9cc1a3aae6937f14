import type {Store} from '../stores/index.ts';
import {ChunkTable, type Location} from './chunk-table.ts';
import {isDamage} from './damage.ts';
import {distrustedPacks, forgetDamage} from './distrust.ts';
import type {PackListing} from './entry.ts';
import {forEach} from './in-order.ts';
import {readIndex, writeIndex} from './index-object.ts';
import {type IndexId, indexKey, indexOfKey, indexPrefix, packKey, packOfKey, packsPrefix} from './key.ts';
import {indexFlushEntries, indexFlushPacks} from './limits.ts';
import {readPackTable} from './pack.ts';
import type {ChunkId, Finding, PackId} from './types.ts';

/** Indexes and tables fetched at once; each is small. */
const fetchesAtOnce = 6;

/** A collector that works beside us replaces indexes while we list them; after this often there is another reason. */
const syncTries = 5;

/** A pack that no index lists is kept as if an index of the same id listed it alone. */
const indexOfOne = (pack: PackId) => pack as string as IndexId;

/**
 * Which chunk lies where: what the store's indexes say (a copy of them, `cacheFile`), and beside it the packs that no index
 * lists yet, by their own tables: ours, and those of writers that ended before their index.
 */
export class ChunkIndex {
  readonly #store: Store;
  readonly #cacheFile: string | undefined;
  readonly #vaultId: string;
  #listed: ChunkTable;
  #unlisted: ChunkTable;
  /** Replaced by a rebuild; calls that began before it may still use them. */
  readonly #retired: ChunkTable[] = [];
  #syncedGeneration = 0;
  /** Packs that an index lists and that are not there, or not with their length. */
  #absent = new Set<PackId>();
  /** Packs that a verification found damaged: read from when there is nothing better, and never counted on. */
  #distrusted = new Set<PackId>();
  /** Indexes that cannot be read, packs whose tables cannot be: told by `verify`. */
  readonly faults = new Map<string, Finding>();

  private constructor(store: Store, vaultId: string, cacheFile: string | undefined) {
    this.#store = store;
    this.#vaultId = vaultId;
    this.#cacheFile = cacheFile;
    this.#listed = cacheFile === undefined ? ChunkTable.private() : ChunkTable.open(cacheFile, vaultId);
    this.#unlisted = ChunkTable.private();
  }

  /** Without `cacheFile` the copy lives as long as this object. */
  static async open(store: Store, vaultId: string, cacheFile?: string): Promise<ChunkIndex> {
    const index = new ChunkIndex(store, vaultId, cacheFile);
    await index.sync();
    return index;
  }

  close(): void {
    for (const table of [this.#listed, this.#unlisted, ...this.#retired]) table.close();
  }

  /** Brings the copy to what `index/` holds now: new indexes are fetched, those that are gone are dropped. */
  async sync(): Promise<void> {
    for (let tries = 1; tries <= syncTries; tries++) {
      this.#syncedGeneration = this.#listed.generation;
      if (await this.#syncOnce()) return;
    }
  }

  /** @returns false when an index went away between the listing and the reading */
  async #syncOnce(): Promise<boolean> {
    const {generation} = this.#listed;
    const known = this.#listed.indexes();
    const gone = new Set(known);
    const fresh: IndexId[] = [];
    for await (const {key} of this.#store.list(indexPrefix)) {
      const id = indexOfKey(key);
      if (id === undefined) continue;
      gone.delete(id);
      if (!known.has(id)) fresh.push(id);
    }
    for (const id of gone) this.#listed.drop(id);
    for (const key of [...this.faults.keys()]) if (key.startsWith(indexPrefix)) this.faults.delete(key);
    let complete = true;
    await forEach(fresh, fetchesAtOnce, async (id) => {
      try {
        const packs = await readIndex(this.#store, id);
        await this.#listed.add(id, packs);
      } catch (error) {
        if (!isDamage(error)) throw error;
        if (error.code === 'OBJECT_MISSING') complete = false;
        else this.#fault({what: 'damaged', key: indexKey(id), detail: error.message});
      }
    });
    // A cache file that failed took what was known before with it.
    return complete && this.#listed.generation === generation;
  }

  /**
   * Looks at what lies in `packs/`: packs that no index lists are taken in by their own tables, packs that are gone or have
   * the wrong length are known for it from now on.
   * @returns every pack there with its length and age
   */
  async surveyPacks(): Promise<Map<PackId, {lengthBytes: number; modifiedAtMs: number}>> {
    if (this.#listed.generation !== this.#syncedGeneration) await this.sync();
    // Known before the listing begins: packs that others add while it runs are not called absent.
    const listed = this.#listed.packs();
    const unlisted = this.#unlisted.packs();
    const there = await this.packsInStore();
    this.#distrusted = await distrustedPacks(this.#store);
    const isAbsent = (pack: {id: PackId; lengthBytes: number}) => there.get(pack.id)?.lengthBytes !== pack.lengthBytes;
    this.#absent = new Set(listed.filter(isAbsent).map(({id}) => id));
    for (const {id} of unlisted.filter(isAbsent)) this.#unlisted.drop(indexOfOne(id));
    for (const key of [...this.faults.keys()]) if (key.startsWith(packsPrefix)) this.faults.delete(key);
    const strangers = [...there].filter(([id]) => !this.#isKnown(id));
    await forEach(strangers, fetchesAtOnce, async ([id, {lengthBytes}]) => {
      try {
        await this.addUnlisted({id, lengthBytes, entries: await readPackTable(this.#store, id, lengthBytes)});
      } catch (error) {
        if (!isDamage(error)) throw error;
        if (error.code === 'OBJECT_DAMAGED') {
          this.#fault({what: 'damaged', key: packKey(id), pack: id, detail: error.message});
        }
      }
    });
    return there;
  }

  /** A pack of 16 MiB takes about 200 bytes here: 20 MiB for 1.6 TiB of packs. */
  async packsInStore(): Promise<Map<PackId, {lengthBytes: number; modifiedAtMs: number}>> {
    const there = new Map<PackId, {lengthBytes: number; modifiedAtMs: number}>();
    for await (const {key, sizeBytes, modifiedAtMs} of this.#store.list(packsPrefix)) {
      const id = packOfKey(key);
      if (id !== undefined) there.set(id, {lengthBytes: sizeBytes, modifiedAtMs});
    }
    return there;
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
    const {id, sizeBytes} = await writeIndex(this.#store, packs);
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
    const rank = ({pack, base}: Location) => 2 * Number(this.#distrusted.has(pack)) + Number(base !== undefined);
    return locations.sort((a, b) => rank(a) - rank(b));
  }

  /** True when a backup may count on the chunk's being there: nothing is known against its pack, or its base's. */
  knows(chunk: ChunkId): boolean {
    const places = this.locations(chunk).filter(({pack}) => !this.#distrusted.has(pack));
    return places.some(({base}) => base === undefined || this.locations(base).some((place) => this.#isBase(place)));
  }

  #isBase({pack, base}: Location): boolean {
    return base === undefined && !this.#distrusted.has(pack);
  }

  isDistrusted(pack: PackId): boolean {
    return this.#distrusted.has(pack);
  }

  /** The packs are whole again, or gone: their notes go. */
  async forgive(packs: Iterable<PackId>): Promise<void> {
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

  /** What the index says is read from the store again by the next `sync`. */
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
   */
  async rebuild(): Promise<void> {
    const old = this.#listed;
    const fresh = new ChunkIndex(this.#store, this.#vaultId, undefined);
    await fresh.sync();
    await fresh.surveyPacks();
    this.#retired.push(this.#listed, this.#unlisted);
    this.#listed = fresh.#listed;
    this.#syncedGeneration = fresh.#listed.generation;
    this.#unlisted = fresh.#unlisted;
    this.#absent = fresh.#absent;
    this.#distrusted = fresh.#distrusted;
    this.faults.clear();
    for (const [key, fault] of fresh.faults) this.faults.set(key, fault);
    if (this.#cacheFile !== undefined) old.clear();
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
