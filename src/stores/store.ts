/**
 * Where an object lies in a store: parts of `[A-Za-z0-9._~%-]` joined by single `/`, no part `.` or `..`.
 * No key is a folder of another one (some S3 servers and every file system refuse that).
 */
export type Key = string;

/** Half-open, in bytes. */
export type ByteRange = {start: number; end: number};

export type ObjectFacts = {
  key: Key;
  sizeBytes: number;
  modifiedAtMs: number;
  /** Of one key: the same version is the same bytes. Absent where the store has no such thing (a folder). */
  version?: string;
};

/** An object that its store's retention still protects. */
export type RetainedObject = {key: Key; untilMs: number};

/** What went to a server and came from it since the store was opened. */
export type Traffic = {
  /** Requests by the name of the server's call (`GetObject`), retries included. */
  requests: Readonly<Record<string, number>>;
  sentBytes: number;
  receivedBytes: number;
  /** Optional features that the server was found not to have, in words; absent without any. */
  lacking?: readonly string[];
};

/** What a store can do, so that the rooms above need not know which kind of store it is. */
export type StoreProperties = {
  /** `list` and `stat` return a version for every object. */
  versions: boolean;
  /** One listing of everything costs less than one for each folder, as on a server that answers in pages of 1000 keys. */
  flatListing: boolean;
  /** The store was opened with a lock period: it locks objects that are put as `retained`, and has {@link Store.retain}. */
  objectLock: boolean;
};

export type PutOptions = {ifAbsent?: boolean; retained?: boolean};

/**
 * Named bytes: whole objects, visible whole or not at all.
 * Retries belong to the store, so every call may run twice and must then end the same.
 */
export interface Store {
  /** For people, e.g. `fs::root=/backups`; never holds a secret. */
  readonly description: string;

  readonly properties: StoreProperties;

  /**
   * Durable when it resolves.
   * @param options.ifAbsent atomic: of several writers of one key exactly one gets `written`. Some S3 servers ignore it and
   *   write over what is there; who needs more than that looks first
   * @param options.retained the store's retention, if it has one, applies to this object
   * @returns `exists` only with `ifAbsent`, when the key is there already; the object is then untouched
   * @throws BkpError `STORE_FULL` | `STORE_UNAVAILABLE` | `STORE_DENIED`
   */
  put(key: Key, body: Uint8Array, options?: PutOptions): Promise<'written' | 'exists'>;

  /**
   * @param range absent = the whole object; a range past the end throws `OBJECT_DAMAGED` (the object is too short)
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_UNAVAILABLE` | `STORE_DENIED`
   */
  get(key: Key, range?: ByteRange): Promise<Uint8Array>;

  /** Every object whose key starts with `prefix` (a whole number of parts, ending in `/`, or empty), sorted by key. */
  list(prefix: string): AsyncIterable<ObjectFacts>;

  /**
   * Absent keys are no error.
   * @returns objects that may not go yet: they stay as they are
   * @throws BkpError `STORE_UNAVAILABLE` | `STORE_DENIED` (these credentials may not remove anything)
   */
  delete(keys: readonly Key[]): Promise<readonly RetainedObject[]>;

  /** @returns undefined when there is no such object */
  stat(key: Key): Promise<ObjectFacts | undefined>;

  /**
   * Present when the store was opened with a retention: sees to it that these objects stay for at least that long from now.
   * For objects that a new backup shares with older ones.
   */
  retain?(keys: readonly Key[]): Promise<void>;

  /**
   * True once the server has refused a conditional put instead of ignoring the condition. From then on `ifAbsent` is
   * ignored, as by servers that do not know it: who needs more than that looks first.
   */
  refusesConditions?(): boolean;

  /** Present when the store is a server's. */
  traffic?(): Traffic;
}
