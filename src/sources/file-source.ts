import type {Origin} from './origin.ts';
import type {SourceCheck} from './source.ts';

/** A database as files: what BACKUP DATABASE copies. A source may offer this, tables, or both. */
export interface FileSource {
  /** For people, e.g. `questdb::root=/var/lib/questdb;http=http://127.0.0.1:9000`; never contains a secret. */
  readonly description: string;

  /**
   * Identifies this database and never changes: QuestDB's data id, for SQLite an id that bkp stores next to its
   * tracking tables. 32 hex digits.
   * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED`
   */
  dataId(): Promise<string>;

  /**
   * Where the database is now; a copy has the same data id and another origin. Undefined when the database does not
   * exist.
   */
  origin(): Origin | undefined;

  /**
   * Fixes a point in time: `Frozen` returns the database as it was then, whatever is written afterwards.
   * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_LOCKED` (another process or program holds a checkpoint, which
   * stays) | `SOURCE_DAMAGED`
   */
  freeze(options: FreezeOptions): Promise<Frozen>;

  /**
   * Releases what a dead process left held in the database (a checkpoint), if there is anything.
   * @param diedAfterMicros start of the dead operation: an older hold is not its own, and stays
   * @param hold id of the dead operation
   */
  releaseLeftover(diedAfterMicros: number, hold?: string): Promise<void>;

  close(): Promise<void>;
}

export type FreezeOptions = {
  /**
   * Id of the operation. It is stored with the hold, so that a later process finds out whose hold a dead process
   * left.
   */
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
  /**
   * Releases a checkpoint whose bkp process has certainly ended.
   * @returns the operation of that process; undefined: none
   */
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
  host?: string | undefined;
};

export type FrozenFile = {
  /** Relative to the root; parts are joined by single `/`, and none is `.` or `..`. */
  path: string;
  /** Bytes that are stored and restored; less than the size of the file where its end is preallocated and empty. */
  sizeBytes: number;
  /** Zeros that follow these bytes in a restored file. They are not stored. */
  zeroTailBytes: number;
  /** The table of the file, for messages and for the restore of single tables; absent for a file of no table. */
  table?: string | undefined;
  /** The file is stored in blocks of this many bytes, from its start. */
  blockBytes: number;
  /**
   * A file with the same path and the same stamp certainly has the same bytes and need not be read again. Absent: the
   * file must be read. docs/questdb.md has the argument.
   */
  stamp?: string | undefined;
  /** Restored only on request (a server's configuration). */
  optional?: true | undefined;
  /**
   * The file is a sequence of numbers of this many bytes, which compresses better. Absent: it is not, or this is
   * unknown.
   */
  numberBytes?: number | undefined;
};

export type DatabaseMoment = {
  readonly product: 'questdb' | 'sqlite';
  readonly version: string;
  readonly tables: readonly {name: string; rows?: number}[];
  /** What the database has and the backup does not, as sentences. Absent: nothing. */
  readonly leftOut?: readonly string[];
};

/** What the database's own check finds in its files; one line each. It never prevents a backup or a restore. */
export type FileCheck = {
  /** Contradictions in the files. */
  damage: readonly string[];
  /** Rows that violate a constraint of their table; they are restored unchanged. */
  brokenRules: readonly string[];
  /** What only the application can check, with the reason. */
  unchecked: readonly string[];
};

/** A database at one point in time. Callers must call `release()`, also after an error. */
export interface Frozen {
  /**
   * Microseconds since 1970: nothing that was committed later is included. What was committed in the moment before it,
   * while the point in time was being fixed, may be missing.
   */
  readonly takenAtMicros: number;
  /** What a restore needs to know: product, its version, tables with their numbers of rows. Complete after `files`. */
  readonly facts: DatabaseMoment;
  /** Sorted by path, in the same order each time. */
  files(): AsyncIterable<FrozenFile>;
  /**
   * The blocks of the file in order: `blockBytes` each except the last, `sizeBytes` in total.
   * @param options.memory allocates a block; a source may ignore it. Default: each block has its own memory
   * @throws BkpError naming the table when bytes of the file are gone
   */
  read(file: FrozenFile, options?: {memory?: (sizeBytes: number) => Buffer}): AsyncIterable<Uint8Array>;
  /**
   * The part of a path that stays the same when the database rewrites a file under another path. Files of the same
   * lineage resemble each other. Absent: a file keeps its path.
   */
  lineageOf?(path: string): string;
  /** Runs the database's own check; absent: there is no such check. Call it after reading and before `confirm`. */
  check?(options: {signal: AbortSignal}): Promise<FileCheck>;
  /**
   * Call it before the backup is committed.
   * @throws BkpError `SOURCE_UNAVAILABLE` when the point in time was not held throughout: what was read must not be
   * used
   */
  confirm(): Promise<void>;
  /** May be called twice. */
  release(): Promise<void>;
}

/** What can be found out about a target without writing to it. */
export type TargetSurvey = {
  /** Free space on the target's disk; absent when it is unknown. */
  freeBytes?: number | undefined;
  /** The message that `prepare` would fail with; absent when it would succeed. */
  inTheWay?: string | undefined;
  /** What removes it. */
  nextStep?: string | undefined;
};

/** Where a restore writes a database. */
export interface FileTarget {
  /**
   * For a plan; writes nothing.
   */
  survey?(facts: DatabaseMoment): Promise<TargetSurvey>;
  /**
   * @throws BkpError `TABLE_EXISTS` when there already is a database (`The local database is not empty.`), which is
   * not changed | `PRECONDITION` when a failed restore left files (`Failed restore directory found`)
   */
  prepare(facts: DatabaseMoment): Promise<void>;
  /**
   * Writes a file below the target's root, not yet in its final place; adds the zeros.
   * @param bytes in order; the memory of a block is reused as soon as the next one is requested
   */
  write(file: FrozenFile, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * The bytes, without zeros, of a file that an interrupted restore has completed. Callers check the hashes before
   * they reuse it.
   */
  finished(file: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * Call it when all files are written and every block is checked: moves them into place, so that the server can open
   * them.
   * @returns the result of the database's own check; undefined: there is no such check
   */
  publish(options: {signal: AbortSignal}): Promise<FileCheck | undefined>;
  /**
   * After damage. QuestDB: leaves what QuestDB Enterprise leaves, `.restore_failed/` and `_restore_failed`, which
   * block the next restore. SQLite: leaves nothing.
   */
  fail(tables: readonly string[]): Promise<void>;
}
