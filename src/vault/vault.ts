import {randomBytes} from 'node:crypto';
import {type Clock, systemClock} from '../lib/clock.ts';
import type {Key, Store, Traffic} from '../stores/index.ts';
import {Collector} from './care/collector.ts';
import {survey} from './care/survey.ts';
import {type VerifyOptions, verify} from './care/verify.ts';
import {createHeader, headerMissing, holdsBackups, noVault, readHeader} from './format/header.ts';
import {readDocument, readManifest} from './format/manifest.ts';
import {CacheFile} from './indexes/cache-file.ts';
import {ChunkIndex} from './indexes/chunk-index.ts';
import {ObjectCache} from './indexes/object-cache.ts';
import {ObjectReader} from './indexes/object-reader.ts';
import {Versions} from './indexes/versions.ts';
import {type AcquireOptions, acquireLease} from './lease/acquire.ts';
import type {LeaseMode} from './lease/content.ts';
import {type Host, thisHost} from './lease/host.ts';
import type {LeaseDeps} from './lease/lease.ts';
import {listLeases} from './lease/objects.ts';
import type {KeepRow} from './lease/row.ts';
import {decidePending, listCounted} from './lease/verdict.ts';
import {partsOf, registerParts} from './parts.ts';
import {ChunkReader, type ReadOptions} from './read/chunk-reader.ts';
import {Closure} from './read/closure.ts';
import type {
  ChunkId,
  Finding,
  JsonValue,
  LeaseSubject,
  Manifest,
  Recipe,
  Survey,
  Vault,
  VaultCollector,
  VaultReader,
  VaultWriter,
} from './types.ts';
import {lookBeforePut} from './write/look-before-put.ts';
import {Retention} from './write/object-lock.ts';
import {Writer} from './write/writer.ts';

export type VaultOptions = {
  store: Store;
  /** Make the vault when the store is empty. Default false: a store without a vault is `VAULT_ABSENT`. */
  create?: boolean;
  /** Where copies of the index, of manifests and documents are kept between runs; may be deleted at any time. Absent: read from the store, once for each opening. */
  cacheFile?: string;
  /** zstd level of new chunks. Default 1: level 3 takes 40 % more time for a ninth less of a shop’s rows. */
  compressionLevel?: number;
  /** Threads that compress, when there is much. Default 2. */
  compressionThreads?: number;
  /** Packs uploaded at once; each costs up to 24 MiB of memory, and one more is being filled. Default 2. */
  uploadsAtOnce?: number;
  /** How long `writer` and `collector` wait for others. Default a minute. */
  lockWaitMs?: number;
  /** How old packs must be that nothing needs before a collector removes them. Default an hour. */
  graceMs?: number;
  /** How long an unchanged lease is trusted. Default two minutes. */
  leaseTtlMs?: number;
  /** Renews held leases; absent: a timer of this thread does. */
  keepLeases?: KeepRow;
  clock?: Clock;
  host?: Host;
  /** 32 hex digits, never the same twice. */
  randomId?: () => string;
};

/** The numbers of {@link VaultOptions}, filled in. */
type Settings = Required<
  Pick<VaultOptions, 'compressionLevel' | 'compressionThreads' | 'uploadsAtOnce' | 'lockWaitMs' | 'graceMs'>
>;

const settingsOf = (options: VaultOptions): Settings => ({
  compressionLevel: options.compressionLevel ?? 1,
  compressionThreads: options.compressionThreads ?? 2,
  uploadsAtOnce: options.uploadsAtOnce ?? 2,
  lockWaitMs: options.lockWaitMs ?? 60_000,
  graceMs: options.graceMs ?? 60 * 60 * 1000,
});

/**
 * Opens the vault in a store.
 * @throws BkpError `VAULT_ABSENT` | `STORE_REFUSED` (something foreign, a newer format) | `OBJECT_DAMAGED` or
 *   `OBJECT_MISSING` (bkp.json)
 */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const clock = options.clock ?? systemClock;
  const randomId = options.randomId ?? (() => randomBytes(16).toString('hex'));
  const header =
    (await readHeader(options.store)) ??
    (options.create ? await createHeader(options.store, randomId(), clock) : undefined);
  if (header === undefined) {
    throw (await holdsBackups(options.store)) ? headerMissing(options.store) : noVault(options.store);
  }
  // A vault that was copied from another server may have a header that says more than this one can: the first put of a
  // writer, which is its lease, shows it.
  const looks = () => !header.conditionalWrites || options.store.refusesConditions?.() === true;
  const mayLook = !header.conditionalWrites || options.store.refusesConditions !== undefined;
  const store = mayLook ? lookBeforePut(options.store, looks) : options.store;
  const cache = options.cacheFile === undefined ? CacheFile.private() : CacheFile.open(options.cacheFile, header.id);
  const retention = new Retention(store, cache, clock);
  const leases: LeaseDeps = {
    store: retention.store,
    clock,
    host: options.host ?? thisHost(),
    randomId,
    ...(options.leaseTtlMs === undefined ? {} : {ttlMs: options.leaseTtlMs}),
    ...(options.keepLeases === undefined ? {} : {keepRow: options.keepLeases}),
  };
  return new OpenVault(header.id, {cache, leases, retention}, settingsOf(options));
}

type Parts = {cache: CacheFile; leases: LeaseDeps; retention: Retention};

class OpenVault implements Vault {
  readonly id: string;
  readonly location: string;
  readonly #store: Store;
  readonly #index: ChunkIndex;
  readonly #cached: ObjectCache;
  readonly #versions: Versions;
  readonly #objects: ObjectReader;
  /** Takes lists of chunk ids from their copies. */
  readonly #reader: ChunkReader;
  /** Reads all from the store: for who decides what is whole, and what may go. */
  readonly #strictReader: ChunkReader;
  readonly #leases: LeaseDeps;
  readonly #retention: Retention;
  readonly #settings: Settings;

  constructor(id: string, {cache, leases, retention}: Parts, settings: Settings) {
    const {store, clock} = leases;
    this.id = id;
    this.location = store.description;
    this.#store = store;
    this.#index = new ChunkIndex(store, cache, leases.randomId);
    this.#cached = new ObjectCache(cache);
    this.#versions = new Versions(clock, {areSupported: store.traffic !== undefined});
    this.#objects = new ObjectReader(store, this.#cached, this.#versions);
    this.#strictReader = new ChunkReader(store, this.#index);
    this.#reader = this.#versions.areSupported ? new ChunkReader(store, this.#index, this.#cached) : this.#strictReader;
    registerParts(this, {store, index: this.#index, reader: this.#strictReader});
    this.#leases = leases;
    this.#retention = retention;
    this.#settings = settings;
  }

  async *keys(prefix: string): AsyncIterable<Key> {
    const seen = new Set<Key>();
    for await (const facts of listCounted(this.#store, prefix)) {
      seen.add(facts.key);
      this.#versions.remember(facts);
      yield facts.key;
    }
    this.#versions.forgetUnseen(prefix, seen);
  }

  document(key: Key): Promise<JsonValue> {
    return this.#objects.document(key);
  }

  manifest(key: Key): Promise<Manifest> {
    return this.#objects.manifest(key);
  }

  uncached(): VaultReader {
    const view: VaultReader = {
      id: this.id,
      location: this.location,
      keys: (prefix) => this.keys(prefix),
      document: (key) => readDocument(this.#store, key),
      manifest: (key) => readManifest(this.#store, key),
      uncached: () => this.uncached(),
      read: (recipe, options) => this.read(recipe, options),
      chunkIds: (recipe) => this.chunkIds(recipe),
      storedBytes: (recipes) => this.storedBytes(recipes),
      survey: () => this.survey(),
      verify: (recipes, options) => this.verify(recipes, options),
    };
    registerParts(view, partsOf(this));
    return view;
  }

  read(recipe: Recipe, options?: ReadOptions): AsyncIterable<Uint8Array> {
    return this.#reader.read(recipe, options);
  }

  async chunkIds(recipe: Recipe): Promise<readonly ChunkId[]> {
    const ids: ChunkId[] = [];
    for await (const id of this.#reader.ids(recipe)) ids.push(id);
    return ids;
  }

  async storedBytes(recipes: readonly Recipe[]): Promise<number> {
    const closure = new Closure(this.#index, this.#reader);
    try {
      for (const recipe of recipes) {
        await closure.addStream(recipe, (error) => {
          throw error;
        });
      }
      return closure.storedBytes();
    } finally {
      closure.close();
    }
  }

  survey(): Promise<Survey> {
    return survey({index: this.#index, reader: this.#reader});
  }

  verify(recipes: readonly Recipe[], options: VerifyOptions): Promise<readonly Finding[]> {
    return verify({store: this.#store, index: this.#index, reader: this.#strictReader}, recipes, options);
  }

  async writer(subject: LeaseSubject, {signal}: {signal?: AbortSignal} = {}): Promise<VaultWriter> {
    const look = () => this.#index.observe();
    const {lease, found} = await acquireLease(this.#leases, this.#acquisition('writer', subject, {signal}), look);
    try {
      // Under the lease no collector moves anything, so what is seen now stays. Listed again when somebody was waited for.
      const seen = found ?? (await lease.observe(look));
      for (const facts of seen.listing.named) this.#versions.remember(facts);
      await this.#index.apply(seen);
      this.#index.requireReadableRemovals();
    } catch (error) {
      await lease.releaseIfPossible();
      throw error;
    }
    const {compressionLevel, compressionThreads, uploadsAtOnce} = this.#settings;
    return new Writer({
      store: this.#store,
      index: this.#index,
      reader: this.#reader,
      cached: this.#versions.areSupported ? this.#cached : undefined,
      lease,
      retention: this.#retention,
      compressionLevel,
      compressionThreads,
      uploadsAtOnce,
      randomId: this.#leases.randomId,
    });
  }

  async collector(
    subject: LeaseSubject,
    {signal, waitMs}: {signal?: AbortSignal; waitMs?: number} = {},
  ): Promise<VaultCollector> {
    const acquisition = this.#acquisition('collector', subject, {signal, waitMs});
    const look = async () => ({leases: await listLeases(this.#store)});
    const {lease} = await acquireLease(this.#leases, acquisition, look);
    try {
      await decidePending(this.#store);
    } catch (error) {
      await lease.releaseIfPossible();
      throw error;
    }
    const {graceMs} = this.#settings;
    const {randomId} = this.#leases;
    return new Collector({
      store: this.#store,
      index: this.#index,
      reader: this.#strictReader,
      lease,
      graceMs,
      randomId,
    });
  }

  #acquisition(
    mode: LeaseMode,
    subject: LeaseSubject,
    {signal, waitMs = this.#settings.lockWaitMs}: {signal: AbortSignal | undefined; waitMs?: number | undefined},
  ): AcquireOptions {
    return {mode, subject, waitMs, ...(signal === undefined ? {} : {signal})};
  }

  traffic(): Traffic | undefined {
    return this.#store.traffic?.();
  }

  close(): void {
    this.#index.close();
  }
}
