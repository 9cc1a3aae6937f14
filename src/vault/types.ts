import type {BkpError} from '../errors/index.ts';
import type {Key, ListOptions, RetainedObject, Traffic} from '../stores/index.ts';

/** BLAKE3-256 of a chunk's plain bytes, 64 hex digits. */
export type ChunkId = string & {readonly brand: 'ChunkId'};
/** Many chunk ids, 32 bytes each, one after the other. */
export type IdBytes = Uint8Array;
/** BLAKE3-256 of a pack's bytes, 64 hex digits. */
export type PackId = string & {readonly brand: 'PackId'};

/** One piece of a stream, cut where the source says it is best cut. It becomes one chunk. At most 16 MiB. */
export type Piece = {
  bytes: Uint8Array;
  /**
   * A chunk that probably resembles this one (an earlier version of the same rows); the vault may store the
   * difference.
   */
  like?: ChunkId | undefined;
  /** The column that the bytes belong to: one object for all pieces of a column, which are consecutive. */
  column?: Column | undefined;
  /** The bytes are records of SQLite's b-trees, each with a rowid in front of it or (`key`) without. */
  records?: 'rowid' | 'key' | undefined;
  /** The piece is this chunk of the vault, for which {@link VaultWriter.keptBytes} gave a size; `bytes` is empty. */
  kept?: ChunkId | undefined;
  /** Called when the vault no longer needs the bytes, also if they could not be stored. */
  release?: (() => void) | undefined;
};

/**
 * Consecutive numbers of one width. The filter that compresses one piece of them best probably suits the next
 * one too.
 */
export type Column = {readonly widthBytes: number};

/**
 * How to read a stream back.
 * `depth` 0: `chunks` are the stream. `depth` n: the chunks, joined, are the 32-byte ids of a list one level lower.
 */
export type Recipe = {sizeBytes: number; depth: number; chunks: readonly ChunkId[]};

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | {readonly [key: string]: JsonValue};

/**
 * The object that makes a backup exist. `streams` names everything that a restore needs.
 * `body` belongs to the room that wrote it and refers to `streams` by position.
 */
export type Manifest = {
  /** What `body` is, e.g. `collection-backup`. */
  kind: string;
  streams: readonly Recipe[];
  /** The lease under which it was committed; filled in by `commit`. Absent in manifests of older versions. */
  lease?: string;
  body: JsonValue;
};

/** Totals of one writer so far. */
export type WriteStats = {
  /** Plain bytes passed to the writer. */
  logicalBytes: number;
  /** Plain bytes of chunks that the vault did not have. */
  newBytes: number;
  /** Bytes put into the store: packs, indexes, manifest. */
  storedBytes: number;
  chunks: number;
  newChunks: number;
};

/** Something that VERIFY found wrong. */
export type Finding = {
  /** `missing`: an object or chunk is not in the store; `damaged`: it is, but is not what was written. */
  what: 'missing' | 'damaged';
  /** The object's key, if one object is at fault. */
  key?: Key | undefined;
  pack?: PackId | undefined;
  chunk?: ChunkId | undefined;
  /** The needed chunks of the pack, if the fault is not that of a single chunk. */
  needed?: readonly ChunkId[] | undefined;
  detail: string;
};

export type VerifyLevel = 'structure' | 'data';

/** Where a verification of data stops; it then has read the least recently verified packs. */
export type VerifyBudget = {
  /** Bytes read from the store, lists included. At least one pack is read. */
  bytes?: number | undefined;
  /** No pack is begun after this time. */
  ms?: number | undefined;
};

export type VerifyOptions = {
  level: VerifyLevel;
  /** Absent: everything is read. Only with the level `data`. */
  budget?: VerifyBudget | undefined;
  signal?: AbortSignal | undefined;
  progress?: ((bytesDone: number, bytesTotal: number) => void) | undefined;
};

/** When the needed bytes were last read intact, by the ledger of the vault. Times are milliseconds since 1970. */
export type Coverage = {
  /** Stored bytes that the streams need. */
  neededBytes: number;
  /** Those of them that were never read intact. */
  neverBytes: number;
  /** When the others were, the least recent ones. Absent if there are none. */
  oldestMs?: number;
};

export type Verification = {
  /** One for each fault. */
  findings: readonly Finding[];
  /** Damage that is known without reading more, and that nothing of what was verified needs. */
  harmless: readonly Finding[];
  /** Bytes read from the store. */
  readBytes: number;
  coverage: Coverage;
  /** Needed chunks that no pack has on which a backup may rely. */
  unreliable: readonly ChunkId[];
  /** False if a list of chunks could not be read: what it names was not checked. */
  areListsRead: boolean;
  /** Why what was verified could not be recorded in the store. */
  unrecorded?: BkpError;
};

/** What was healed of some chunks; `lost` are those that no source has. */
export type HealedChunks = {healed: number; lost: readonly ChunkId[]};

/** What streams need of the vault. */
export type Needs = {
  /** Bytes in packs, each chunk counted once. */
  storedBytes: number;
  /** When the least recently verified of these bytes was last read intact; absent: one of them never was. */
  verifiedMs?: number;
};

export type SurveyOptions = {
  signal?: AbortSignal | undefined;
  /**
   * Do not read long lists of chunks while no pack is known to be absent or damaged. This overlooks only a pack
   * that was lost together with the index that lists it. Default false.
   */
  skipLists?: boolean | undefined;
};

/**
 * What backups need, one after another: each costs little more than its difference to the one before. Calls must not
 * overlap. End it with `close()`.
 */
export interface NeedsInTurn {
  /** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` if a list cannot be read */
  of(recipes: readonly Recipe[]): Promise<Needs>;
  close(): void;
}

/** Judges backups by one listing of the store, without reading their data. */
export interface Survey {
  /**
   * @returns undefined when every pack that these streams need is in the store with its length, and no VERIFY
   *   found one of them damaged; otherwise `OBJECT_MISSING` | `OBJECT_DAMAGED` naming a fault
   */
  faultOf(recipes: readonly Recipe[], options?: SurveyOptions): Promise<BkpError | undefined>;
  needsInTurn(): NeedsInTurn;
  /**
   * As {@link Needs}, for callers that need only this: most backups that were never verified are recognized without
   * reading a list.
   */
  verifiedMs(recipes: readonly Recipe[]): Promise<number | undefined>;
}

export type WitnessRecord = {
  /** `OBJECT_MISSING` | `OBJECT_DAMAGED`: the first damage in what was not read before. */
  fault?: BkpError;
  /** Why nothing could be recorded. */
  unrecorded?: BkpError;
};

/** A reader whose own reads are a verification, for drills. */
export type Witnessed = {
  /** Reads everything from the store: manifests, documents, lists of chunks and data. */
  vault: VaultReader;
  /** Reads what these streams need and was not read yet; then adds what it found intact to the ledger of the vault. */
  record(recipes: readonly Recipe[], options?: {signal?: AbortSignal}): Promise<WitnessRecord>;
};

/** A backup of an encrypted vault that is not in the store any more, and was not removed by anyone with its keys. */
export type GoneBackup = {
  /** Of its collection or database; ends in `/`. */
  folder: string;
  backup: string;
  /** This machine has opened it, or made it; otherwise the vault says that it was the newest one. */
  isSeenHere: boolean;
  /** The newest one that is there and opens. */
  left?: string;
};

/** The newest backup of a folder that a machine knows. */
export type KnownBackup = {
  backup: string;
  /** The documents of removals that were there then. */
  removed: readonly Key[];
};

/** What a machine remembers of an encrypted vault's backups, by their folders. */
export type BackupMemory = {
  load(vault: string): ReadonlyMap<string, KnownBackup>;
  /** Adds to what other processes have saved. @param changed undefined forgets a folder */
  save(vault: string, changed: ReadonlyMap<string, KnownBackup | undefined>): void;
  /** Called when a listing shows that a backup is gone, once for each. */
  onGone?(gone: GoneBackup): void;
};

/** Read-only access, as RESTORE, VERIFY and every list get it. */
export interface VaultReader {
  /** 32 hex digits, random, created with the vault: two vaults never share an id. */
  readonly id: string;
  /** The store, as shown to users. */
  readonly location: string;
  /** Bytes read from the store since the vault was opened. */
  readonly readBytes: number;

  /** Keys below `prefix` (ends in `/`), sorted. @param options.after only greater ones, at the cost of those alone */
  keys(prefix: string, options?: ListOptions): AsyncIterable<Key>;
  /**
   * Backups below a folder that are gone from an encrypted vault, by the listings of `keys` so far. Always empty for
   * other vaults.
   */
  gone(prefix: string): readonly GoneBackup[];
  /**
   * The manifest that this home committed last to the folder above the backup's own (`prefix` ends in `/`). It may have
   * been removed since, and others may have been added. Undefined if that is not known.
   */
  lastCommitted(prefix: string): Key | undefined;
  /**
   * Taken from the local cache if `keys` listed the cached version less than a minute ago.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer format)
   */
  document(key: Key): Promise<JsonValue>;
  /** As `document`. */
  manifest(key: Key): Promise<Manifest>;
  /**
   * The same vault, reading every manifest and document from the store; used by VERIFY and by the removal of
   * backups.
   */
  uncached(): VaultReader;
  /** The same vault, for reads that prove something about the store. */
  witnessed(): Witnessed;

  /**
   * The stream's chunks in order, each checked against its id, with a few fetched ahead.
   * @param options.borrowed reuse the memory of a chunk when the next one is requested, which is faster.
   *   Default false
   */
  read(recipe: Recipe, options?: {signal?: AbortSignal; borrowed?: boolean}): AsyncIterable<Uint8Array>;
  /** As `read`, of some chunks of streams, in the given order. */
  readChunks(ids: Iterable<ChunkId>, options?: {signal?: AbortSignal; borrowed?: boolean}): AsyncIterable<Uint8Array>;
  /** Chunk ids of the stream, in order; resolves long recipes. */
  chunkIds(recipe: Recipe): Promise<readonly ChunkId[]>;
  /**
   * Chunk ids of a long stream, in order.
   * @returns undefined if the stream has another number of chunks than `length`
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`, also if lists name fewer than `length` chunks
   */
  readIds(recipe: Recipe, length: number): Promise<IdBytes | undefined>;
  /** Bytes in packs that these streams need, each chunk counted once. */
  storedBytes(recipes: readonly Recipe[]): Promise<number>;

  /**
   * For each group of streams, the bytes in packs that it needs and the groups before it do not.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` if a list of chunks cannot be read
   */
  addedBytes(groups: readonly (readonly Recipe[])[]): Promise<readonly number[]>;

  /** Errors of the objects that no backup needs and that decide what is done with backups. Reads each of them. */
  damagedNotes(): Promise<readonly BkpError[]>;
  /** Lists the store once. Every decision that relies on a backup asks the result about the packs that it needs. */
  survey(): Promise<Survey>;

  /**
   * Checks that everything that these streams need is in the store and is what was written.
   * `structure` checks indexes, pack tables, lengths and damage notes, `data` also every byte.
   * Damaged packs are noted in the store, so that no later backup relies on them; intact ones in its ledger.
   */
  verify(recipes: readonly Recipe[], options: VerifyOptions): Promise<Verification>;
}

/** A writing session under a lease. Always end it with `close()`. */
export interface VaultWriter {
  readonly stats: Readonly<WriteStats>;
  /** The id of its lease: 32 hex digits, random, unique. */
  readonly id: string;
  /** Whether the last commit saw so many small packs in the store that {@link VaultCollector.mergeSmall} pays. */
  readonly sawManySmallPacks: boolean;
  /** The plain bytes of a chunk that the vault has, and on which a backup may rely; otherwise undefined. */
  keptBytes(id: ChunkId): number | undefined;
  /**
   * Starts the threads that compress. Without this they start with the first MiB to compress, which takes a tenth of a
   * second: a caller that will have much to write, and now waits for something else, can have them up by then.
   */
  expectMuch(): void;
  /** Stores the pieces as one stream. Calls must not overlap. */
  write(pieces: AsyncIterable<Piece> | Iterable<Piece>): Promise<Recipe>;
  /**
   * As `write`, for callers that build the recipe themselves: yields the id of each piece, in order. No piece
   * may be empty.
   */
  writeChunks(pieces: AsyncIterable<Piece> | Iterable<Piece>): AsyncIterable<ChunkId>;
  /**
   * Stores the lists of a stream whose chunks are in the vault, for callers of `writeChunks`. Lists are cut by the ids
   * in them and not after a fixed number: inserted or removed ids change the lists around them only, and all other
   * lists are in the vault already.
   * @param sizeBytes plain bytes of all chunks together
   */
  writeIds(ids: IdBytes, sizeBytes: number): Promise<Recipe>;
  /**
   * Copies the chunks that these streams of another vault need and this vault lacks, in their stored form, and
   * checks each against its id first. The same recipes can then be committed here. The next attempt uses what
   * an interrupted one copied.
   * @param options.progress stored bytes; what this vault has already counts as done from the beginning
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` naming what is missing or damaged in the source
   */
  copyFrom(
    source: VaultReader,
    recipes: readonly Recipe[],
    options?: {signal?: AbortSignal; progress?: (bytesDone: number, bytesTotal: number) => void},
  ): Promise<void>;
  /**
   * Writes chunks again that no reliable pack of this vault has, from other vaults or from damaged packs of this one.
   * Each is compared with its id first, and durable when this resolves.
   */
  heal(chunks: readonly ChunkId[], sources: readonly VaultReader[]): Promise<HealedChunks>;
  /**
   * Packs and index are in the store when it resolves; `stats.storedBytes` then includes everything but the
   * manifest.
   */
  flush(): Promise<void>;
  /**
   * Flushes packs and index, checks that every pack that `manifest` needs is in the store with its length, then
   * puts the manifest if its key is free. Durable, and read back, when it resolves.
   * @returns `exists` when the key is taken: nothing was committed
   */
  commit(key: Key, manifest: Manifest): Promise<'written' | 'exists'>;
  /**
   * Puts a small JSON document (a collection's definition) if its key is free. Durable, and read back, when it
   * resolves.
   * @param options.announcedBy key of an empty object that is put before. It stays if the put of the document is not
   *   known to have succeeded, so that it may still arrive
   */
  putDocument(key: Key, document: JsonValue, options?: {announcedBy?: Key | undefined}): Promise<'written' | 'exists'>;
  /** Releases the lease. What was written without a commit is used by the next attempt, or removed by a collector. */
  close(): Promise<void>;
}

/** The result of a collector. */
export type Collected = {
  /** Bytes of packs that became free: less what was written again, and without the indexes, which become smaller. */
  freedBytes: number;
  /** Objects that it had to leave, those passed to `remove` included; absent if there are none. */
  retained?: Retained;
};

/** What a collector would remove; computed before anything is removed. */
export type CollectPlan = {
  /** Packs of which no manifest needs any part. */
  deadPacks: readonly PackId[];
  /**
   * Packs of which so little is needed that it is worth moving that to new packs; none in a store with object
   * lock.
   */
  sparsePacks: readonly PackId[];
  /** Small packs, if there are many: what is needed of them moves to a few larger ones; none with object lock. */
  smallPacks: readonly PackId[];
  /** Bytes of packs that would become free, unless an object lock protects some; exact if none is written again. */
  freedBytes: number;
};

/** Objects that an object lock of the store protects. */
export type Retained = {
  objects: number;
  /** When the last lock ends, by the store's clock; milliseconds since 1970. */
  untilMs: number;
};

/** Removes objects under the exclusive lease. Always end it with `close()`. */
export interface VaultCollector {
  /**
   * Checks, before other backups are removed, that everything these ones need is in the store and was not found
   * damaged.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`
   */
  requireIntact(manifests: readonly Key[], options?: {signal?: AbortSignal}): Promise<void>;
  /**
   * Removes manifests and documents, and thereby their backups. Call this before `plan`.
   * @returns those that an object lock protects: they, and everything they need, stay
   */
  remove(keys: readonly Key[]): Promise<readonly RetainedObject[]>;
  /**
   * As {@link remove}, for documents that say what no longer counts (a DROP, an UNPIN). In a store that repeats puts
   * they stay for a week, by the store's clock: until then, what they ended may arrive once more.
   * @param options.inAnyStore also where puts are not repeated: a process that was paused may still carry one out
   */
  removeEndings(keys: readonly Key[], options?: {inAnyStore?: boolean}): Promise<readonly RetainedObject[]>;
  plan(options?: {signal?: AbortSignal}): Promise<CollectPlan>;
  /**
   * Merges small packs, if there are many, without reading a manifest: what nothing needs is kept too.
   * @returns how many packs were merged
   */
  mergeSmall(): Promise<number>;
  execute(
    plan: CollectPlan,
    options?: {signal?: AbortSignal; progress?: (done: number, total: number) => void},
  ): Promise<Collected>;
  close(): Promise<void>;
}

export type LeaseSubject = {
  /** What the lease is for, shown to processes that wait for it: `operation incbackup/7`. */
  purpose: string;
  /** At most one writer at a time holds a lease with this subject (`collection shop`). */
  subject?: string | undefined;
};

/** Which keys a vault was opened with. */
export type EncryptionFacts = {
  /** Number of the newest ring. */
  generation: number;
  /** Tells the ring from every other one; two people can compare it aloud. */
  fingerprint: string;
};

export type ReencryptOptions = {
  /** Shown to processes that wait for its lease: `operation reencrypt/7`. */
  purpose: string;
  signal?: AbortSignal | undefined;
  progress?: (progress: ReencryptProgress) => void;
  /**
   * Called once nothing is sealed with older keys than those of ring `generation`, and no writer uses them, while no
   * writer can begin.
   * @returns false if there is a newer ring: it goes on with that
   */
  finish(generation: number): Promise<boolean>;
};

/** `waiting`: for running backups, before the last step. */
export type ReencryptProgress =
  | {phase: 'sealing'; bytesDone: number; bytesTotal: number; itemsDone: number; itemsTotal: number}
  | {phase: 'waiting'};

export type Reencrypted = {
  /** What was put again. */
  objects: number;
  bytes: number;
  /** What does not open, and is as it was. If there is any, the older keys are still needed. */
  damaged: readonly {key: Key; detail: string}[];
};

export type ForgetOptions = {
  /** Shown to processes that wait for its lease: `operation reencrypt/7`. */
  purpose: string;
  signal?: AbortSignal | undefined;
  /** Objects that were looked at. */
  progress?: (done: number, total: number) => void;
  /**
   * Called with the ids of keys that nothing needs, while no backup, cleanup or re-encryption can begin. Not called if
   * there are none.
   * @param generation of the ring that has them
   * @returns false if there is a newer ring: everything is looked at again
   */
  forget(ids: readonly string[], generation: number): Promise<boolean>;
};

/** What keeps the older keys of an encrypted vault. */
export type OlderKeys = {
  /** Those that nothing needs. */
  unneeded: readonly string[];
  /** By the id of a key: how many objects are sealed with it, and one of them. */
  needed: ReadonlyMap<string, {objects: number; example: Key}>;
  /** Objects whose first bytes name no key of the ring. If there is any, every older key is kept. */
  unclear: readonly {key: Key; detail: string}[];
};

export interface Vault extends VaultReader {
  /** Undefined for a vault without encryption. */
  readonly encryption: EncryptionFacts | undefined;
  /** @throws BkpError `VAULT_LOCKED` (another writer of the subject, or a collector that does not end in time) */
  writer(lease: LeaseSubject, options?: {signal?: AbortSignal}): Promise<VaultWriter>;
  /**
   * Waits until no writer is left; no new writer begins meanwhile.
   * @param options.waitMs the longest wait, for one of many tries. Default 60 s, and longer if it takes longer to learn
   *   whether the holder of a lease is dead. The next try with the same vault continues to watch
   * @throws BkpError `VAULT_LOCKED`
   */
  collector(lease: LeaseSubject, options?: {signal?: AbortSignal; waitMs?: number}): Promise<VaultCollector>;
  /**
   * What a collector would plan now, if these manifests were removed. Nothing is written, not even a lease, so a
   * collector may find another state later.
   * @throws BkpError as `VaultCollector.plan`
   */
  planTrial(without: readonly Key[], options?: {signal?: AbortSignal}): Promise<CollectPlan>;
  /**
   * Seals everything that is under older keys again with the newest ones, while backups go on. One that ends anywhere
   * is continued by the next. Waits for writers that still use older keys.
   * @throws BkpError `VAULT_LOCKED` (another re-encryption runs) | `PRECONDITION` (not encrypted, or the store locks
   *   objects) | `STORE_DENIED` (objects may not be overwritten)
   */
  reencrypt(options: ReencryptOptions): Promise<Reencrypted>;
  /**
   * Finds out which of an encrypted vault's older keys are needed, by the first bytes of every object. Waits for
   * running backups twice, and no backup begins while it waits; otherwise they go on.
   * @throws BkpError `VAULT_LOCKED` if a backup does not end in time | `PRECONDITION` (the vault is not encrypted)
   */
  forgetKeys(options: ForgetOptions): Promise<OlderKeys>;
  /** A backup that is gone is not expected any more, by no machine. */
  acceptGone(gone: GoneBackup): Promise<void>;
  /**
   * Requests to the store's server, and bytes exchanged with it, since the vault was opened; undefined for a
   * store without a server.
   */
  traffic(): Traffic | undefined;
  /** Closes the local cache; the vault must not be used afterwards. */
  close(): void;
}
