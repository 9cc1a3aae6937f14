import type {BkpError} from '../errors/index.ts';
import type {Key, RetainedObject, Traffic} from '../stores/index.ts';

/** BLAKE3-256 of a chunk's plain bytes, 64 hex digits. */
export type ChunkId = string & {readonly brand: 'ChunkId'};
/** BLAKE3-256 of a pack's bytes, 64 hex digits. */
export type PackId = string & {readonly brand: 'PackId'};

/** One piece of a stream, as the source says it is best cut: it becomes one chunk. At most 16 MiB. */
export type Piece = {
  bytes: Uint8Array;
  /** A chunk that probably resembles this one (the same rows, earlier): the vault may store the difference to it. */
  like?: ChunkId;
  /** The column that the bytes are a part of; one object for all its pieces, which come one after the other. */
  column?: Column;
  /** Called when the vault needs the bytes no more; not called after an error. */
  release?: () => void;
};

/** Numbers of so many bytes, one after the other: what compresses one piece of them best probably does so for the next. */
export type Column = {readonly widthBytes: number};

/**
 * How to read a stream back.
 * `depth` 0: `chunks` are the stream. `depth` n: the chunks joined are the 32-byte ids of a list one level lower.
 */
export type Recipe = {sizeBytes: number; depth: number; chunks: readonly ChunkId[]};

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | {readonly [key: string]: JsonValue};

/**
 * What makes a backup exist. Complete by reference: `streams` names all that a restore needs.
 * `body` belongs to the room that wrote it; it points into `streams` by position.
 */
export type Manifest = {
  /** What `body` is, e.g. `collection-backup`. */
  kind: string;
  streams: readonly Recipe[];
  /** Under which lease it was committed; filled in by `commit`. Absent in those of older versions. */
  lease?: string;
  body: JsonValue;
};

/** What one writer did so far; bytes. */
export type WriteStats = {
  /** Plain bytes handed in. */
  logicalBytes: number;
  /** Plain bytes of chunks that the vault did not have yet. */
  newBytes: number;
  /** Bytes put into the store: packs, indexes, manifest. */
  storedBytes: number;
  chunks: number;
  newChunks: number;
};

/** Something that VERIFY found wrong. */
export type Finding = {
  /** `missing`: an object or chunk is not there; `damaged`: it is there and is not what was written. */
  what: 'missing' | 'damaged';
  /** The store's key, when the fault lies with one object. */
  key?: Key;
  pack?: PackId;
  chunk?: ChunkId;
  /** Chunks of the pack that are needed, when the fault lies with none of them alone. */
  needed?: readonly ChunkId[];
  detail: string;
};

export type VerifyLevel = 'structure' | 'data';

export type SurveyOptions = {
  signal?: AbortSignal;
  /**
   * Where nothing is known against any pack, long lists of chunks are not read: only a pack that went together with the index that
   * lists it can so be overlooked. Default false.
   */
  skipLists?: boolean;
};

/** What one listing of the store tells of its backups, without reading their data. */
export interface Survey {
  /**
   * @returns undefined when every pack that these streams need is there, with its length, and none was found damaged by a
   *   VERIFY; else `OBJECT_MISSING` | `OBJECT_DAMAGED` that says what is not
   */
  faultOf(recipes: readonly Recipe[], options?: SurveyOptions): Promise<BkpError | undefined>;
}

/** Reading only: what RESTORE, VERIFY and every list get. */
export interface VaultReader {
  /** Random, made with the vault: two vaults never share it. 32 hex digits. */
  readonly id: string;
  readonly location: string;

  /** Keys below `prefix` (ends in `/`), sorted. */
  keys(prefix: string): AsyncIterable<Key>;
  /**
   * From a local copy, when `keys` or the beginning of a writer showed less than a minute ago the very version that was copied.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer format)
   */
  document(key: Key): Promise<JsonValue>;
  /** As `document`. */
  manifest(key: Key): Promise<Manifest>;
  /** The same vault, every manifest and document read from the store: for whoever wants to know what lies there. */
  uncached(): VaultReader;

  /**
   * The stream's chunks in order, each checked against its id, a few fetched ahead.
   * @param options.borrowed the memory of a chunk is used again as soon as the next one is asked for: quicker. Default false
   */
  read(recipe: Recipe, options?: {signal?: AbortSignal; borrowed?: boolean}): AsyncIterable<Uint8Array>;
  /** Chunk ids of the stream, in order (resolves long recipes). */
  chunkIds(recipe: Recipe): Promise<readonly ChunkId[]>;
  /** Bytes in packs that these streams need, each chunk counted once. */
  storedBytes(recipes: readonly Recipe[]): Promise<number>;

  /** For every decision that counts on a backup: what is known of the packs that it needs. */
  survey(): Promise<Survey>;

  /**
   * Checks that all that these streams need is there and is what was written; one finding for each fault,
   * none when all is well. `structure` reads indexes and packs' tables, lengths and damage notes, `data` also every byte.
   * Packs that are damaged are noted in the store, so that no backup counts on them any more.
   */
  verify(
    recipes: readonly Recipe[],
    options: {level: VerifyLevel; signal?: AbortSignal; progress?: (bytesDone: number, bytesTotal: number) => void},
  ): Promise<readonly Finding[]>;
}

/** A session of writing, under a lease. End it with `close()`, always. */
export interface VaultWriter {
  readonly stats: Readonly<WriteStats>;
  /** Its lease's id: 32 hex digits, random, never used before. */
  readonly id: string;
  /** Stores the pieces as one stream. Several writes of one writer may run one after the other, not at once. */
  write(pieces: AsyncIterable<Piece> | Iterable<Piece>): Promise<Recipe>;
  /** The same for whoever makes the recipe himself: the id of each piece, in order. No piece may be empty. */
  writeChunks(pieces: AsyncIterable<Piece> | Iterable<Piece>): AsyncIterable<ChunkId>;
  /**
   * Stores what these streams of another vault need and this one lacks, in its stored form; each chunk is checked against its
   * id first. The same recipes can then be committed here. What was copied when it is ended is used by the next try.
   * @param options.progress stored bytes; what this vault has already is done from the beginning
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` naming what the source does not have as it was written
   */
  copyFrom(
    source: VaultReader,
    recipes: readonly Recipe[],
    options?: {signal?: AbortSignal; progress?: (bytesDone: number, bytesTotal: number) => void},
  ): Promise<void>;
  /** Packs and index are in the store when it resolves: `stats.storedBytes` then holds all but the manifest. */
  flush(): Promise<void>;
  /**
   * Packs and index are flushed, every pack that `manifest` needs is looked for with its length, then the manifest
   * is put if its key is free. Durable and read back when it resolves.
   * @returns `exists` when the key was taken meanwhile: nothing was committed
   */
  commit(key: Key, manifest: Manifest): Promise<'written' | 'exists'>;
  /** A small JSON document of its own (a collection's definition), put if its key is free. */
  putDocument(key: Key, document: JsonValue): Promise<'written' | 'exists'>;
  /** Gives the lease back. Without a commit, what was written stays unnamed: found again by the next try, or collected. */
  close(): Promise<void>;
}

/** What a collector did. */
export type Collected = {
  /** Store bytes that became free. */
  freedBytes: number;
  /** What it should have removed, `remove` included, and had to leave; absent without any. */
  retained?: Retained;
};

/** What a collection would remove; a value, made before anything is removed. */
export type CollectPlan = {
  /** Packs that no manifest needs any part of. */
  deadPacks: readonly PackId[];
  /** Packs of which so little is needed that rewriting them is worth it; none in a store with retention. */
  sparsePacks: readonly PackId[];
  /** Store bytes that would become free, if nothing of it is under retention. */
  freedBytes: number;
};

/** Objects that had to stay, because the store's retention protects them. */
export type Retained = {
  objects: number;
  /** When the last of them may go, by the store's clock; milliseconds since 1970. */
  untilMs: number;
};

/** Removal, under the exclusive lease. End it with `close()`, always. */
export interface VaultCollector {
  /**
   * Looks whether all that these backups need is there, and none of it was found damaged, before others go.
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`
   */
  requireIntact(manifests: readonly Key[], options?: {signal?: AbortSignal}): Promise<void>;
  /**
   * Removes manifests and documents first: with them their backups are gone.
   * @returns those that may not go yet: they and all that they need stay
   */
  remove(keys: readonly Key[]): Promise<readonly RetainedObject[]>;
  plan(options?: {signal?: AbortSignal}): Promise<CollectPlan>;
  execute(
    plan: CollectPlan,
    options?: {signal?: AbortSignal; progress?: (done: number, total: number) => void},
  ): Promise<Collected>;
  close(): Promise<void>;
}

export type LeaseSubject = {
  /** What the lease is for, told to others who meet it: `operation incbackup/7`. */
  purpose: string;
  /** Only one writer at a time holds a lease with this subject (`collection shop`). */
  subject?: string;
};

export interface Vault extends VaultReader {
  /** @throws BkpError `VAULT_LOCKED` (another writer of the subject, or a collector that does not end within the wait) */
  writer(lease: LeaseSubject, options?: {signal?: AbortSignal}): Promise<VaultWriter>;
  /**
   * Waits until no writer is left.
   * @param options.waitMs how long; meanwhile no new writer begins. Default 60 s
   * @throws BkpError `VAULT_LOCKED`
   */
  collector(lease: LeaseSubject, options?: {signal?: AbortSignal; waitMs?: number}): Promise<VaultCollector>;
  /** What went to the store's server and came from it since the vault was opened; undefined when it has none. */
  traffic(): Traffic | undefined;
  /** Closes the local cache; the vault must not be used afterwards. */
  close(): void;
}
