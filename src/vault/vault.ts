import {randomBytes} from 'node:crypto';
import {BkpError} from '../errors/index.ts';
import {type Clock, systemClock} from '../lib/clock.ts';
import {type Key, type Store, type Traffic, wrapStore} from '../stores/index.ts';
import {Collector} from './care/collector.ts';
import {planTrial} from './care/plan-removal.ts';
import {type SealedStore, sealedStore} from './crypto/sealed-store.ts';
import type {VaultKeys} from './crypto/vault-keys.ts';
import {createHeader} from './format/create-header.ts';
import {type Header, headerMissing, noVault, readHeader, traceOfVault} from './format/header.ts';
import {CacheFile} from './indexes/cache-file.ts';
import {ChunkIndex} from './indexes/chunk-index.ts';
import {ObjectCache} from './indexes/object-cache.ts';
import {ObjectReader} from './indexes/object-reader.ts';
import {Versions} from './indexes/versions.ts';
import {fingerprintOf} from './keys/change-keys.ts';
import {listKeyObjects} from './keys/key-objects.ts';
import {isWithoutKeys, secretMissing} from './keys/unlock.ts';
import {type AcquireOptions, acquireLease} from './lease/acquire.ts';
import type {LeaseMode} from './lease/content.ts';
import {type Host, thisHost} from './lease/host.ts';
import type {LeaseDeps} from './lease/lease.ts';
import {listLeases} from './lease/objects.ts';
import type {KeepRow} from './lease/row.ts';
import {type DecidedManifests, decidePending} from './lease/verdict.ts';
import {NewestBackups} from './newest/newest-backups.ts';
import {LastCommits} from './read/last-commits.ts';
import {StreamReader} from './read/stream-reader.ts';
import {Reader, type ReaderParts} from './reader.ts';
import {forgetKeys} from './reseal/forget.ts';
import {reencrypt} from './reseal/reencrypt.ts';
import type {
  BackupMemory,
  CollectPlan,
  EncryptionFacts,
  ForgetOptions,
  GoneBackup,
  LeaseSubject,
  OlderKeys,
  Reencrypted,
  ReencryptOptions,
  Vault,
  VaultCollector,
  VaultWriter,
} from './types.ts';
import {lookBeforePut} from './write/look-before-put.ts';
import {ObjectLock} from './write/object-lock.ts';
import type {PackLimits} from './write/pack-writer.ts';
import {Writer} from './write/writer.ts';

export type VaultOptions = {
  store: Store;
  /** Create a vault if the store is empty. Default false: a store without a vault is `VAULT_ABSENT`. */
  create?: boolean | undefined;
  /**
   * File for copies of the index, of manifests and of documents between runs; may be deleted at any time.
   * Absent: they are read from the store once for each opening.
   */
  cacheFile?: string | undefined;
  /** zstd level of new chunks. Default 1: level 3 takes 40 % more time and saves a ninth on a shop’s rows. */
  compressionLevel?: number | undefined;
  /** Threads that compress once a writer has encoded 1 MiB. Default 2. */
  compressionThreads?: number | undefined;
  /** Each pack in memory may have 8 MiB more than `targetBytes`. Default: two of 16 MiB. */
  packs?: PackLimits | undefined;
  /** How long `writer` and `collector` wait for other lease holders. Default one minute. */
  lockWaitMs?: number | undefined;
  /** Minimum age of unneeded packs before a collector removes them. Default one hour. */
  graceMs?: number | undefined;
  /** How long an unchanged lease is trusted. Default two minutes. */
  leaseTtlMs?: number | undefined;
  /** Renews held leases; absent: a timer of this thread does. */
  keepLeases?: KeepRow | undefined;
  /** Absent: vaults are made without encryption, and encrypted ones are refused. */
  encryption?: VaultEncryption | undefined;
  /** What this machine remembers of an encrypted vault's backups. Absent: nothing. */
  backupMemory?: BackupMemory | undefined;
  clock?: Clock | undefined;
  host?: Host | undefined;
  /** Returns 32 hex digits, never the same twice. */
  randomId?: (() => string) | undefined;
};

/** Where the keys of encrypted vaults come from. All calls get the store as it is, without encryption. */
export type VaultEncryption = {
  /** True: a vault that is made is encrypted. */
  isWanted: boolean;
  /** @throws BkpError `SECRET_MISSING` | `SECRET_WRONG` | `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
  unlock(store: Store, vault: string): Promise<VaultKeys>;
  /** Called before anything of a new vault is written. @throws BkpError `SECRET_MISSING` if `create` would */
  prepare?(store: Store): Promise<void>;
  /** Makes the keys of a new vault. Throws as `unlock`, and the errors of the store. */
  create(store: Store, vault: string, options: {conditionalWrites: boolean}): Promise<VaultKeys>;
  /** Called once, when a vault without encryption was made. */
  madePlain?(store: Store): Promise<void>;
  /** Called for a vault without encryption, which it may refuse by throwing. */
  allowPlain?(vault: string): void;
};

/** The numbers of {@link VaultOptions}, with defaults applied. */
type Settings = {
  compressionLevel: number;
  compressionThreads: number;
  packs: PackLimits;
  lockWaitMs: number;
  graceMs: number;
};

const settingsOf = (options: VaultOptions): Settings => ({
  compressionLevel: options.compressionLevel ?? 1,
  compressionThreads: options.compressionThreads ?? 2,
  packs: options.packs ?? {inMemory: 2},
  lockWaitMs: options.lockWaitMs ?? 60_000,
  graceMs: options.graceMs ?? 60 * 60 * 1000,
});

/**
 * Opens the vault in a store.
 * @throws BkpError `VAULT_ABSENT` | `STORE_REFUSED` (foreign content, a newer format) | `OBJECT_DAMAGED` or
 *   `OBJECT_MISSING` (bkp.json); for an encrypted vault also what {@link VaultEncryption.unlock} throws
 */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const clock = options.clock ?? systemClock;
  const randomId = options.randomId ?? (() => randomBytes(16).toString('hex'));
  const {encryption} = options;
  const create = async () => {
    const suite = encryption?.isWanted ? 'bkp-1' : 'none';
    // Without a secret, nothing is written.
    if (suite !== 'none') await encryption?.prepare?.(options.store);
    const made = await createHeader(options.store, {id: randomId(), encryption: suite}, clock);
    if (made.encryption === 'none') await encryption?.madePlain?.(options.store);
    return made;
  };
  const existing = async () => {
    if ((await traceOfVault(options.store)) === undefined) throw noVault(options.store);
    // Another process may have made the vault meanwhile.
    const made = await readHeader(options.store);
    if (made === undefined) throw headerMissing(options.store);
    return made;
  };
  const header = (await readHeader(options.store)) ?? (await (options.create ? create() : existing()));
  const keys = await keysOf(header, options);
  const refresh = encryption && (() => encryption.unlock(options.store, header.id));
  const sealed = keys && sealedStore(options.store, keys, refresh, () => catchUp());
  const catchUp = async () => {
    if (sealed === undefined) return;
    const {generations} = await listKeyObjects(options.store);
    if ((generations[0] ?? 0) > sealed.generation()) await sealed.renew();
  };
  const opened = sealed ?? options.store;
  // The header of a vault that was copied from another server may claim more than this store can do. The first put of
  // a writer, which is its lease, reveals that.
  const ignoresConditions = () => !header.conditionalWrites || opened.refusesConditions?.() === true;
  const mayIgnore = !header.conditionalWrites || opened.refusesConditions !== undefined;
  const checked = mayIgnore ? lookBeforePut(opened, ignoresConditions) : opened;
  const file = options.cacheFile === undefined ? CacheFile.private() : CacheFile.open(options.cacheFile, header.id);
  const objectLock = new ObjectLock(checked, file, clock);
  const {store, readBytes} = countReads(objectLock.store);
  const index = new ChunkIndex(store, file, randomId);
  const cache = new ObjectCache(file, sealed?.sealing);
  const lastCommits = new LastCommits(file);
  const versions = new Versions(clock, {areSupported: store.properties.versions});
  const strictReader = new StreamReader(store, index);
  const newest = sealed && new NewestBackups({store, vault: header.id, memory: options.backupMemory, randomId});
  return new OpenVault({
    id: header.id,
    keys,
    sealed,
    catchUp,
    store,
    index,
    versions,
    cache,
    objects: new ObjectReader(store, cache, versions),
    reader: versions.areSupported ? new StreamReader(store, index, {lists: cache}) : strictReader,
    strictReader,
    clock,
    randomId,
    readBytes,
    lastCommitted: (prefix) => lastCommits.in(prefix),
    lastCommits,
    newest,
    leases: {
      store,
      clock,
      host: options.host ?? thisHost(),
      randomId,
      ttlMs: options.leaseTtlMs,
      keepRow: options.keepLeases,
      memory: new Map(),
    },
    objectLock,
    settings: settingsOf(options),
  });
}

/** @returns undefined for a vault without encryption */
async function keysOf(
  {id, encryption, conditionalWrites}: Header,
  options: VaultOptions,
): Promise<VaultKeys | undefined> {
  if (encryption === 'none') {
    options.encryption?.allowPlain?.(id);
    return undefined;
  }
  if (options.encryption === undefined) throw secretMissing(options.store);
  // The process that made the header ended before it made the keys.
  if (options.create && (await isWithoutKeys(options.store))) {
    return options.encryption.create(options.store, id, {conditionalWrites});
  }
  return options.encryption.unlock(options.store, id);
}

/** Counts what is read, whichever part of the vault reads it. */
function countReads(inner: Store): {store: Store; readBytes: () => number} {
  let bytes = 0;
  const store = wrapStore(inner, {
    async get(key, range) {
      const body = await inner.get(key, range);
      bytes += body.length;
      return body;
    },
  });
  return {store, readBytes: () => bytes};
}

type VaultParts = ReaderParts & {
  keys: VaultKeys | undefined;
  /** The store of an encrypted vault. */
  sealed: SealedStore | undefined;
  /**
   * Another process may have rotated the keys since the vault was opened. Called under each lease, and before a put
   * without one, so that whoever writes after a rotation writes with the new keys.
   */
  catchUp: () => Promise<void>;
  cache: ObjectCache;
  lastCommits: LastCommits;
  leases: LeaseDeps;
  objectLock: ObjectLock;
  settings: Settings;
};

class OpenVault extends Reader implements Vault {
  readonly #parts: VaultParts;

  constructor(parts: VaultParts) {
    super(parts);
    this.#parts = parts;
  }

  async writer(subject: LeaseSubject, {signal}: {signal?: AbortSignal} = {}): Promise<VaultWriter> {
    const {store, index, reader, versions, cache, lastCommits, newest, leases, objectLock, settings} = this.#parts;
    const observe = () => index.observe();
    const {lease, found} = await acquireLease(leases, this.#acquisition('writer', subject, {signal}), observe);
    try {
      await this.#parts.catchUp();
      // Under the lease no collector removes or moves anything, so this listing stays valid. List again if the
      // lease had to wait for another one.
      const observation = found ?? (await lease.observe(observe));
      await index.apply(observation);
      index.requireReadableRemovals();
    } catch (error) {
      await lease.releaseIfPossible();
      throw error;
    }
    const {compressionLevel, compressionThreads, packs} = settings;
    return new Writer({
      store,
      index,
      reader,
      cached: versions.areSupported ? cache : undefined,
      lastCommits,
      newest,
      lease,
      objectLock,
      compressionLevel,
      compressionThreads,
      packs,
      randomId: leases.randomId,
      copySource: Reader.copySource,
    });
  }

  async collector(
    subject: LeaseSubject,
    {signal, waitMs}: {signal?: AbortSignal; waitMs?: number} = {},
  ): Promise<VaultCollector> {
    const {store, index, strictReader, newest, leases, settings, clock} = this.#parts;
    const acquisition = this.#acquisition('collector', subject, {signal, waitMs});
    const {lease} = await acquireLease(leases, acquisition, async () => ({leases: await listLeases(store)}));
    let decided: DecidedManifests;
    try {
      await this.#parts.catchUp();
      decided = await decidePending(store, async () => (await store.stat(lease.key))?.modifiedAtMs ?? 0);
    } catch (error) {
      await lease.releaseIfPossible();
      throw error;
    }
    const {graceMs} = settings;
    return new Collector({
      store,
      index,
      reader: strictReader,
      lease,
      graceMs,
      randomId: leases.randomId,
      clock,
      newest,
      decided,
    });
  }

  async reencrypt(options: ReencryptOptions): Promise<Reencrypted> {
    const {sealed, leases, clock, catchUp, settings} = this.#parts;
    if (sealed === undefined) throw notEncrypted(this.location);
    if (sealed.retain !== undefined) throw locksObjects(this.location);
    const packsAtOnce = Math.min(2, settings.packs.inMemory);
    return reencrypt({sealed, leases, clock, catchUp, randomId: leases.randomId, packsAtOnce}, options);
  }

  async forgetKeys(options: ForgetOptions): Promise<OlderKeys> {
    const {sealed, leases, catchUp, settings} = this.#parts;
    if (sealed === undefined) throw notEncrypted(this.location);
    return forgetKeys({sealed, leases, catchUp, lockWaitMs: settings.lockWaitMs}, options);
  }

  planTrial(without: readonly Key[], {signal}: {signal?: AbortSignal} = {}): Promise<CollectPlan> {
    const {store, index, strictReader: reader, settings, clock} = this.#parts;
    const youngAfterMs = clock.wallMs() - settings.graceMs;
    return planTrial({store, index, reader}, {without, youngAfterMs, signal});
  }

  #acquisition(
    mode: LeaseMode,
    subject: LeaseSubject,
    {signal, waitMs}: {signal: AbortSignal | undefined; waitMs?: number | undefined},
  ): AcquireOptions {
    const wait = waitMs === undefined ? {waitMs: this.#parts.settings.lockWaitMs} : {waitMs, isOneTryOfMany: true};
    return {mode, subject, ...wait, signal};
  }

  get encryption(): EncryptionFacts | undefined {
    const {keys} = this.#parts;
    return keys && {generation: keys.generation, fingerprint: fingerprintOf(keys)};
  }

  async acceptGone(gone: GoneBackup): Promise<void> {
    await this.#parts.catchUp();
    await this.#parts.newest?.accept(gone);
  }

  traffic(): Traffic | undefined {
    return this.#parts.store.traffic?.();
  }

  close(): void {
    this.#parts.newest?.save();
    this.#parts.index.close();
  }
}

const notEncrypted = (location: string) =>
  new BkpError('PRECONDITION', `the vault in ${location} is not encrypted, so it has no keys`, {
    next: `copy its backups into a new store that is encrypted: bkp sql "COPY BACKUP COLLECTION … TO '…'"`,
  });

export const locksObjects = (location: string) =>
  new BkpError('PRECONDITION', `${location} locks objects, so none can be sealed again`, {
    cause: 'what a lock protects stays readable with the old keys until the lock ends',
    next: 'use new keys for new backups: bkp vault key rotate; the older ones end with their locks',
  });
