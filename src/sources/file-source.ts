import type {Origin} from './origin.ts';
import type {SourceCheck} from './source.ts';

/** A database as files: what BACKUP DATABASE copies. A source may offer this, tables, or both. */
export interface FileSource {
  /** For people, e.g. `questdb::root=/var/lib/questdb;http=http://127.0.0.1:9000`; never holds a secret. */
  readonly description: string;

  /**
   * What tells this database from every other one, and never changes: QuestDB's data id, for SQLite an id that bkp keeps
   * beside its tracking tables. 32 hex digits.
   * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED`
   */
  dataId(): Promise<string>;

  /** Where it is now: a copy of the database has its data id, and is elsewhere. Undefined when nothing is there. */
  origin(): Origin | undefined;

  /**
   * Fixes one moment: what `Frozen` gives is the database as it was then, whatever is written meanwhile.
   * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_LOCKED` (somebody else holds a checkpoint; it is left alone) | `SOURCE_DAMAGED`
   */
  freeze(options: FreezeOptions): Promise<Frozen>;

  /**
   * Ends what a process that died left held in the database (a checkpoint). Nothing to end is no error.
   * @param diedAfterMicros the dead operation's start: a hold that is older is somebody else's and stays
   * @param hold the dead operation's id
   */
  releaseLeftover(diedAfterMicros: number, hold?: string): Promise<void>;

  close(): Promise<void>;
}

export type FreezeOptions = {
  /** Id of the operation. It is stored with the hold, so that a later process finds out whose hold a dead process left. */
  hold: string;
  signal: AbortSignal;
  notice: (text: string) => void;
  /** Microseconds since 1970. */
  nowMicros: () => number;
};

/** A database whose server holds a checkpoint while its files are copied, for bkp or for another program. */
export interface CheckpointSource extends FileSource {
  /** @throws BkpError `SOURCE_UNAVAILABLE` */
  heldCheckpoint(): Promise<HeldCheckpoint | undefined>;
  /** Holds one for another program, until `releaseCheckpoint`. */
  createCheckpoint(): Promise<void>;
  releaseCheckpoint(): Promise<void>;
  /** Releases a checkpoint whose bkp process has certainly ended. @returns the operation of that process; undefined: none */
  releaseDead(): Promise<string | undefined>;
  /** Version of the server; undefined when it is stopped or does not answer. */
  version(): Promise<string | undefined>;
  /** @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` */
  inspect(): Promise<readonly SourceCheck[]>;
}

/** A checkpoint that a server holds now. */
export type HeldCheckpoint = {
  startedAtMicros: number;
  /** The bkp operation that holds it; absent when another program created it. */
  hold?: string;
  /** What became of the process of that operation; absent when another program created it. */
  fate?: 'alive' | 'dead' | 'unknown';
  /** The machine of that process, when it is noted. */
  host?: string;
};

export type FrozenFile = {
  /** Below the root, parts joined by single `/`, no part `.` or `..`. */
  path: string;
  /** Bytes that are stored and restored; less than the file's size where its end is preallocated and holds nothing. */
  sizeBytes: number;
  /** Bytes of nothing (zeros) that follow the stored ones in a restored file; 0 for none. They are made, not stored. */
  zeroTailBytes: number;
  /** The table it belongs to, for messages and for the restore of single tables; absent for what belongs to none. */
  table?: string;
  /** Where to cut: blocks of this many bytes from the file's start. */
  blockBytes: number;
  /**
   * Present when it is certain that a file of this path with the same stamp has the same bytes: it need not be read again.
   * Absent when it must be read. See docs/questdb.md for the argument.
   */
  stamp?: string;
  /** Restored only when asked for (a server's configuration). */
  optional?: true;
  /** The file is numbers of so many bytes, one after the other: it can then be compressed better. Absent: it is not, or nobody knows. */
  numberBytes?: number;
};

export type DatabaseMoment = {
  readonly product: 'questdb' | 'sqlite';
  readonly version: string;
  readonly tables: readonly {name: string; rows?: number}[];
};

/** What a database's own check finds in its files; one line each. Nothing of it keeps a backup or a restore from being made. */
export type FileCheck = {
  /** The files contradict themselves. */
  damage: readonly string[];
  /** Rows that break a rule of their table; the application finds them as it left them. */
  brokenRules: readonly string[];
  /** What only the application can check, with the reason. */
  unchecked: readonly string[];
};

/** One moment of a database. `release()` always, on every way out. */
export interface Frozen {
  /** Microseconds since 1970: all that was committed before is in it. */
  readonly takenAtMicros: number;
  /** What a restore must know: product, its version, tables with their rows. */
  readonly facts: DatabaseMoment;
  /** In order of path; the same order each time. */
  files(): AsyncIterable<FrozenFile>;
  /**
   * Blocks of the file in order, `blockBytes` each but the last, together `sizeBytes`.
   * @param options.memory for a block of so many bytes; a source may leave it aside. Default: each has its own
   * @throws BkpError naming the table when bytes that belong to the moment are gone
   */
  read(file: FrozenFile, options?: {memory?: (sizeBytes: number) => Buffer}): AsyncIterable<Uint8Array>;
  /**
   * What stays of a file's path when the database writes the file anew under another one: two such files resemble each other.
   * Absent: a file keeps its path.
   */
  lineageOf?(path: string): string;
  /** The database's own check of what it is; absent: there is none. To be called after reading, before `confirm`. */
  check?(options: {signal: AbortSignal}): Promise<FileCheck>;
  /** To be called before the backup is committed. @throws BkpError `SOURCE_UNAVAILABLE` when the moment was not held all the time: what was read is worth nothing */
  confirm(): Promise<void>;
  /** May be called twice. */
  release(): Promise<void>;
}

/** Where a restore puts a database. */
export interface FileTarget {
  /**
   * For a plan: looks, and touches nothing. `inTheWay` is what `prepare` would say, `freeBytes` what the target's disk has left;
   * either is absent when there is none or nobody can tell.
   */
  survey?(facts: DatabaseMoment): Promise<{freeBytes?: number; inTheWay?: string}>;
  /**
   * @throws BkpError `TABLE_EXISTS` when there is a database already (`The local database is not empty.`, nothing touched) |
   *   `PRECONDITION` when a failed restore left something (`Failed restore directory found`)
   */
  prepare(facts: DatabaseMoment): Promise<void>;
  /**
   * A file below the target's root, not yet in its final place; bytes come in order, zeros are made.
   * The memory of a block is used again as soon as the next one is asked for.
   */
  write(file: FrozenFile, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** Files that an earlier, ended try has written whole, without their zero tail: they are checked by hash before they are taken over. */
  finished(file: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * All is there, and each block is what was backed up: makes it a database that its server opens at once.
   * @returns what the database's own check says of it; absent: there is none
   */
  publish(options: {signal: AbortSignal}): Promise<FileCheck | undefined>;
  /** Leaves what the original leaves: `.restore_failed/`, `_restore_failed`. */
  fail(tables: readonly string[]): Promise<void>;
}
