import {randomBytes} from 'node:crypto';
import type {Key, Store} from '../stores/index.ts';
import {ChunkIndex} from './chunk-index.ts';
import {ChunkReader} from './chunk-reader.ts';
import {type Clock, systemClock} from './clock.ts';
import {Closure} from './closure.ts';
import {Collector} from './collector.ts';
import {createHeader, noVault, readHeader} from './header.ts';
import {type Host, thisHost} from './host.ts';
import type {LeaseDeps} from './lease.ts';
import {type AcquireOptions, acquireLease} from './lease-acquire.ts';
import type {LeaseMode} from './lease-content.ts';
import {listLeases} from './lease-objects.ts';
import {lookBeforePut} from './look-before-put.ts';
import {readDocument, readManifest} from './manifest.ts';
import type {
  ChunkId,
  Finding,
  JsonValue,
  LeaseSubject,
  Manifest,
  Recipe,
  Vault,
  VaultCollector,
  VaultWriter,
} from './types.ts';
import {type VerifyOptions, verify} from './verify.ts';
import {Writer} from './writer.ts';

export type VaultOptions = {
  store: Store;
  /** Make the vault when the store is empty. Default false: a store without a vault is `VAULT_ABSENT`. */
  create?: boolean;
  /** Where the copy of the index is kept between runs; may be deleted at any time. Absent: read from the store, once for each opening. */
  cacheFile?: string;
  /** zstd level of new chunks. Default 1: level 3 takes 40 % more time for a ninth less of a shop’s rows. */
  compressionLevel?: number;
  /** Chunks compressed at once. Default 6: more than the thread pool has threads, so none waits for the event loop. */
  encodesAtOnce?: number;
  /** Packs uploaded at once; each costs up to 24 MiB of memory, and one more is being filled. Default 2. */
  uploadsAtOnce?: number;
  /** How long `writer` and `collector` wait for others. Default a minute. */
  lockWaitMs?: number;
  /** How old packs must be that nothing needs before a collector removes them. Default an hour. */
  graceMs?: number;
  clock?: Clock;
  host?: Host;
  /** 32 hex digits, never the same twice. */
  randomId?: () => string;
};

/** The numbers of {@link VaultOptions}, filled in. */
type Settings = Required<
  Pick<VaultOptions, 'compressionLevel' | 'encodesAtOnce' | 'uploadsAtOnce' | 'lockWaitMs' | 'graceMs'>
>;

const settingsOf = (options: VaultOptions): Settings => ({
  compressionLevel: options.compressionLevel ?? 1,
  encodesAtOnce: options.encodesAtOnce ?? 6,
  uploadsAtOnce: options.uploadsAtOnce ?? 2,
  lockWaitMs: options.lockWaitMs ?? 60_000,
  graceMs: options.graceMs ?? 60 * 60 * 1000,
});

/**
 * Opens the vault in a store.
 * @throws BkpError `VAULT_ABSENT` | `STORE_REFUSED` (something foreign, a newer format) | `OBJECT_DAMAGED` (bkp.json)
 */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const {cacheFile} = options;
  const clock = options.clock ?? systemClock;
  const randomId = options.randomId ?? (() => randomBytes(16).toString('hex'));
  const header =
    (await readHeader(options.store)) ??
    (options.create ? await createHeader(options.store, randomId(), clock) : undefined);
  if (header === undefined) throw noVault(options.store);
  const store = header.conditionalWrites ? options.store : lookBeforePut(options.store);
  const index = new ChunkIndex(store, header.id, cacheFile);
  const leases: LeaseDeps = {
    store,
    clock,
    host: options.host ?? thisHost(),
    randomId,
  };
  return new OpenVault(header.id, index, leases, settingsOf(options));
}

class OpenVault implements Vault {
  readonly id: string;
  readonly store: string;
  readonly #store: Store;
  readonly #index: ChunkIndex;
  readonly #reader: ChunkReader;
  readonly #leases: LeaseDeps;
  readonly #settings: Settings;

  constructor(id: string, index: ChunkIndex, leases: LeaseDeps, settings: Settings) {
    this.id = id;
    this.store = leases.store.description;
    this.#store = leases.store;
    this.#index = index;
    this.#reader = new ChunkReader(leases.store, index);
    this.#leases = leases;
    this.#settings = settings;
  }

  async *keys(prefix: string): AsyncIterable<Key> {
    for await (const {key} of this.#store.list(prefix)) yield key;
  }

  document(key: Key): Promise<JsonValue> {
    return readDocument(this.#store, key);
  }

  manifest(key: Key): Promise<Manifest> {
    return readManifest(this.#store, key);
  }

  read(recipe: Recipe, {signal}: {signal?: AbortSignal} = {}): AsyncIterable<Uint8Array> {
    return this.#reader.read(recipe, signal);
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

  verify(recipes: readonly Recipe[], options: VerifyOptions): Promise<readonly Finding[]> {
    return verify({store: this.#store, index: this.#index, reader: this.#reader}, recipes, options);
  }

  async writer(subject: LeaseSubject, {signal}: {signal?: AbortSignal} = {}): Promise<VaultWriter> {
    const look = () => this.#index.look();
    const {lease, found} = await acquireLease(this.#leases, this.#acquisition('writer', subject, {signal}), look);
    try {
      // Under the lease no collector moves anything, so what is seen now stays. Listed again when somebody was waited for.
      await this.#index.takeIn(found ?? (await lease.look(look)));
    } catch (error) {
      await lease.release();
      throw error;
    }
    const {compressionLevel, encodesAtOnce, uploadsAtOnce} = this.#settings;
    return new Writer({
      store: this.#store,
      index: this.#index,
      reader: this.#reader,
      lease,
      compressionLevel,
      encodesAtOnce,
      uploadsAtOnce,
    });
  }

  async collector(
    subject: LeaseSubject,
    {signal, waitMs}: {signal?: AbortSignal; waitMs?: number} = {},
  ): Promise<VaultCollector> {
    const acquisition = this.#acquisition('collector', subject, {signal, waitMs});
    const look = async () => ({leases: await listLeases(this.#store)});
    const {lease} = await acquireLease(this.#leases, acquisition, look);
    const {graceMs} = this.#settings;
    return new Collector({store: this.#store, index: this.#index, reader: this.#reader, lease, graceMs});
  }

  #acquisition(
    mode: LeaseMode,
    subject: LeaseSubject,
    {signal, waitMs = this.#settings.lockWaitMs}: {signal: AbortSignal | undefined; waitMs?: number | undefined},
  ): AcquireOptions {
    return {mode, subject, waitMs, ...(signal === undefined ? {} : {signal})};
  }

  close(): void {
    this.#index.close();
  }
}
