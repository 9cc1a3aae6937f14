/**
 * Where an object lies in a store: parts of `[A-Za-z0-9._~%-]` joined by single `/`, no part `.` or `..`.
 * No key is a folder of another one (some S3 servers and every file system refuse that).
 */
export type Key = string;

/** Half-open, in bytes. */
export type ByteRange = {start: number; end: number};

export type ObjectFacts = {key: Key; sizeBytes: number; modifiedAtMs: number};

/**
 * Named bytes: whole objects, visible whole or not at all.
 * Retries belong to the store, so every call may run twice and must then end the same.
 */
export interface Store {
  /** For people, e.g. `fs::root=/backups`; never holds a secret. */
  readonly description: string;

  /**
   * Durable when it resolves.
   * @param options.ifAbsent atomic: of several writers of one key exactly one gets `written`
   * @returns `exists` only with `ifAbsent`, when the key is there already; the object is then untouched
   * @throws BkpError `STORE_FULL` | `STORE_UNAVAILABLE`
   */
  put(key: Key, body: Uint8Array, options?: {ifAbsent?: boolean}): Promise<'written' | 'exists'>;

  /**
   * @param range absent = the whole object; a range past the end throws `OBJECT_DAMAGED` (the object is too short)
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_UNAVAILABLE`
   */
  get(key: Key, range?: ByteRange): Promise<Uint8Array>;

  /** Every object whose key starts with `prefix` (a whole number of parts, ending in `/`, or empty), sorted by key. */
  list(prefix: string): AsyncIterable<ObjectFacts>;

  /** Absent keys are no error. */
  delete(keys: readonly Key[]): Promise<void>;

  /** @returns undefined when there is no such object */
  stat(key: Key): Promise<ObjectFacts | undefined>;
}
