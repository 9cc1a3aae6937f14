/**
 * The name of an object in a store: parts of `[A-Za-z0-9._~%-]` joined by single `/`, no part `.` or `..`.
 * No key is a folder of another key: some S3 servers and every file system refuse that.
 */
export type Key = string;

/**
 * Half-open, in bytes.
 * `mayEndEarly`: the object may end before `end`; what there is of the range is returned.
 */
export type ByteRange = {start: number; end: number; mayEndEarly?: boolean};

export type ObjectFacts = {
  key: Key;
  sizeBytes: number;
  modifiedAtMs: number;
  /** For one key, equal versions mean equal bytes. Absent if the store has no versions (a directory). */
  version?: string | undefined;
};

/** An object that its store's object lock still protects. */
export type RetainedObject = {key: Key; untilMs: number};

/** Requests and bytes exchanged with a server since the store was opened. */
export type Traffic = {
  /** Number of requests by the name of the server's call (`GetObject`), including retries. */
  requests: Readonly<Record<string, number>>;
  sentBytes: number;
  receivedBytes: number;
  /** Optional features that the server turned out to lack, in words; absent if there are none. */
  lacking?: readonly string[];
};

/** What a store can do, so that the rooms above need not know which kind of store it is. */
export type StoreProperties = {
  /** `list` and `stat` return a version for every object. */
  versions: boolean;
  /**
   * One listing of everything costs less than one for each folder, as on a server that responds in pages of 1000
   * keys.
   */
  flatListing: boolean;
  /**
   * The store was opened with a lock period: it locks objects that are put as `retained`, and has {@link
   * Store.retain}.
   */
  objectLock: boolean;
  /**
   * A put whose response was lost is sent again, and the first copy may arrive much later, when the object was removed
   * meanwhile. Absent: each put is carried out once.
   */
  repeatsPuts?: boolean;
  /** Objects are filled up, so that their sizes say little about their content. Absent: they are not. */
  hidesSizes?: boolean;
};

/**
 * What keys say to whoever writes the objects. With it a store in a folder finds what took the place of an object:
 * otherwise an object that became a folder would only be absent.
 */
export type StoreLayout = {
  /** True for the key of an object; a folder there is in its place. */
  isObject(key: Key): boolean;
  /** True for a folder that always is one, as the first part of a prefix; a file there is in its place. */
  isFolder(key: Key): boolean;
  /**
   * The objects that a folder is known to hold even if it cannot be listed, or if a file is in its place: those without
   * which nothing in it counts.
   * @returns undefined if that is not known
   */
  objectsIn(folder: Key): readonly Key[] | undefined;
};

export type ListOptions = {after?: Key | undefined};

export type PutOptions = {
  ifAbsent?: boolean;
  retained?: boolean;
  /**
   * Called before `put` returns if the server may carry out this put once more: an earlier request of it was not
   * answered, and may arrive even after the object was removed.
   */
  onRepeated?: () => void;
};

/**
 * Named bytes: an object is visible as a whole or not at all.
 * The store retries requests itself, so every call may run twice and must then have the same result.
 */
export interface Store {
  /** For people, e.g. `fs::root=/backups`; never contains a secret. */
  readonly description: string;

  readonly properties: StoreProperties;

  /**
   * The object is durable when the promise resolves.
   * @param options.ifAbsent atomic: of several concurrent writers of one key exactly one gets `written`. Some S3
   *   servers ignore it and overwrite the object; callers that must not overwrite have to check first
   * @param options.retained lock this object, if the store was opened with a lock period
   * @returns `exists` only with `ifAbsent`, if the key exists already; the object is then unchanged
   * @throws BkpError `STORE_FULL` | `STORE_UNAVAILABLE` | `STORE_DENIED`
   */
  put(key: Key, body: Uint8Array, options?: PutOptions): Promise<'written' | 'exists'>;

  /**
   * Present if a large object need not be in memory completely: `put` of the parts, joined.
   * @param parts makes them one after the other; each is valid until the next one is asked for. It may be called again
   */
  putParts?(key: Key, parts: () => Iterable<Uint8Array>, options?: PutOptions): Promise<'written' | 'exists'>;

  /**
   * @param range absent = the whole object; a range past the end throws `OBJECT_DAMAGED` (the object is too short)
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_UNAVAILABLE` | `STORE_DENIED`
   *   An object that the store cannot return, although it returns others, is `OBJECT_DAMAGED`
   */
  get(key: Key, range?: ByteRange): Promise<Uint8Array>;

  /**
   * Every object whose key starts with `prefix` (a whole number of parts, ending in `/`, or empty), sorted by key.
   * What is in the place of an object and cannot be read as one is listed too, with size 0: `get` says what it is.
   * @param options.after only keys greater than this one, at the cost of those alone
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectFacts>;

  /**
   * Absent keys are not an error.
   * @returns objects that may not be removed yet; they stay unchanged
   * @throws BkpError `STORE_UNAVAILABLE` | `STORE_DENIED` (these credentials may not remove objects)
   */
  delete(keys: readonly Key[]): Promise<readonly RetainedObject[]>;

  /** @returns undefined if there is no such object */
  stat(key: Key): Promise<ObjectFacts | undefined>;

  /**
   * Present if the store was opened with a lock period: extends the locks of these objects to at least that period
   * from now. For objects that a new backup shares with older ones.
   */
  retain?(keys: readonly Key[]): Promise<void>;

  /**
   * True once the server has refused a conditional put instead of ignoring the condition. From then on `ifAbsent`
   * has no effect, as on servers that ignore it, and callers have to check first.
   */
  refusesConditions?(): boolean;

  /**
   * Present if the store can be asked whether it encrypts what it keeps.
   * @returns a command that makes it do so from now on, if it does not; undefined if it does, or does not say
   */
  howToEncrypt?(): Promise<string | undefined>;

  /**
   * Present if an interrupted put leaves something behind that no listing shows: removes what the listings of this
   * store came across and no put can still need. What cannot be removed stays.
   */
  sweep?(): Promise<void>;

  /** Present if the store exchanges requests with a server. */
  traffic?(): Traffic;
}
