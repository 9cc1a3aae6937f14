import type {BkpError} from '../errors/index.ts';
import type {QueryEnd} from '../lib/query-end.ts';
import type {Origin} from './origin.ts';

/**
 * The name of a table in its database (`orders`), in the database's own spelling.
 */
export type TableName = string;

/** Whether a table can be in a collection, and in one with increments. */
export type TableFacts =
  /** `reason`: present when the whole database is missing, not only the table. */
  | {name: TableName; state: 'absent'; reason?: string | undefined}
  /** Cannot be backed up as a table (a view, a virtual table); `reason` ends with what to do instead. */
  | {name: TableName; state: 'unsupported'; reason: string}
  /**
   * `fullOnly`: why changes cannot be tracked (no declared primary key); absent when they can. `partOf`: the object
   * that keeps its content in this table, and is nothing without it.
   */
  | {name: TableName; state: 'present'; fullOnly?: string | undefined; partOf?: string | undefined};

/**
 * Everything except rows that is needed to recreate the table: the database's own statements and counters.
 * Opaque to every room but its source; stored in the manifest unchanged.
 */
export type TableSchema = {
  name: TableName;
  /**
   * Two schemas have the same fingerprint if and only if rows of one can be loaded into the other. Constant
   * within a chain.
   */
  fingerprint: string;
  /** The source's own (CREATE statements of table, indexes, triggers, sequence …), JSON. */
  definition: {readonly [key: string]: string | number | null | readonly string[]};
};

/**
 * An object besides tables that a restore recreates by its statement: a view, a virtual table (whose rows are
 * in tables). Opaque to every room but its source; stored in the manifest unchanged.
 */
export type SchemaObject = {
  name: string;
  definition: {readonly [key: string]: string | readonly string[]};
};

/** Opaque to every room but its source; stored in the manifest unchanged. */
export type DatabaseFacts = {readonly [key: string]: string | number | null};

/** Some rows or keys of one table in the database's own form. */
export type Segment = {
  bytes: Uint8Array;
  /** Rows in it. */
  rows: number;
};

/** A segment of a base, with where it begins in the order of its rows. */
export type BaseSegment = Segment & {
  /**
   * Position of the segment with the same start in the previous base whose cuts were given, if there is one:
   * what it holds probably resembles this one.
   */
  previous?: number | undefined;
  /** The segment was not read: it has exactly the rows of `previous`. `bytes` is empty. */
  isUnchanged?: true;
  /** To be called when the bytes are no longer needed, if it is present: their memory is used again. */
  release?: (() => void) | undefined;
};

/**
 * Where a base's segments were cut, opaque JSON text; given to the next base of the same table or tree so that
 * unchanged ranges become the same bytes again.
 */
export type Cuts = string;

/** All rows of one table, or all records of one tree, in their order. */
export interface BaseStream extends AsyncIterable<BaseSegment> {
  /** Known when the iteration has ended. */
  cuts(): Cuts;
}

/**
 * One b-tree of a table. `rowid`: the table's rows in the order of their rowid. `key`: an index, or the rows of a
 * table without rowid, in the order of the key.
 */
export type Tree = {
  /** Of the table or of the index. */
  name: string;
  kind: 'rowid' | 'key';
  /**
   * What an index that has its own statement indexes: it can be dropped, and created again with other columns, between
   * the backups of a chain. Absent for the table's own tree and the indexes of its constraints, which follow from the
   * table's fingerprint.
   */
  fingerprint?: string | undefined;
};

/**
 * All rows of one table. As `records`, its trees are streams of b-tree records in the database's own format, the
 * table's own tree first; a segment's `rows` are its records. Iterating over a tree fails with {@link TakeRows} when
 * the records turn out not to serve.
 */
export type TableBase =
  /** `reason`: why this table is not taken as records; absent if nothing can be done about it or nobody asked. */
  | {form: 'rows'; rows: BaseStream; reason?: string | undefined}
  | {form: 'records'; trees: readonly (Tree & {records: BaseStream})[]};

export type BaseOptions = {
  /** The cuts of the previous base by the name of their tree; those of rows by the name of the table. */
  previous?: ReadonlyMap<string, Cuts> | undefined;
  /** Take rows even if records would serve. Default: the source chooses. */
  form?: 'rows' | undefined;
  /** Only the tree with the rows: every tree that is returned must be read. Default false. */
  withoutIndexes?: boolean | undefined;
  /** What the source can show to be the same as in the base of `previous` need not be read. Absent: all is read. */
  takeOver?: TakeOver | undefined;
};

export type TakeOver = {
  /** Of the backup that has the previous base, or of a later one of its chain. */
  mark: Mark;
  /** Whether the bytes of a segment of the previous base are there to be used again. */
  isKept: (segment: number) => boolean;
};

/**
 * What changed in one table since a mark: first every changed key, then the rows that those keys have now. A
 * key without a row was deleted. Both are empty when nothing changed. A key with a NULL in it can have many
 * rows.
 */
export type DeltaStream = {
  keys: AsyncIterable<Segment>;
  /** To be read after `keys`. */
  rows: AsyncIterable<Segment>;
  /** Known when both have been read: how many keys changed since the mark, and how many rows they have. */
  changed(): {keys: number; rows: number};
};

/** A table in an earlier backup, for a source that compares its rows with these. */
export type StoredRows = {
  /** Of the base. */
  cuts: Cuts;
  /** How many rows the base has. */
  rows: number;
  /** How many segments the base has. */
  segments: number;
  /** A segment of the base. @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING` */
  segment(at: number): Promise<Uint8Array>;
  /** The deltas that follow the base, to be read in their order; each segment first of `keys`, then of `rows`. */
  deltas: readonly {keys: AsyncIterable<Uint8Array>; rows: AsyncIterable<Uint8Array>}[];
};

/** How the rows of a table differ from a base. */
export type Difference = {
  /** Takes the place of all deltas that follow the base. */
  delta: DeltaStream;
  /** Against the backup that has the base and its deltas. */
  changed: {keys: number; rows: number};
};

export type Changes = {
  /** Changes in the log, where a key may be several times; 0 if nothing changed. */
  logged: number;
  /**
   * To be called once. Reading may begin with the call.
   * @param earlier segments of keys of earlier deltas. The delta names them too and so replaces those deltas: the rows
   *   of a key that has not changed since are still those of the newest delta that names it.
   */
  read(earlier?: AsyncIterable<Uint8Array>): DeltaStream;
};

/**
 * A position in the change log of the source, set before the snapshot it belongs to: the snapshot contains
 * every change up to the mark, and the log contains (at least) every change after the snapshot. Random text,
 * stored in the source and in the manifest: a source that does not know the mark is not the one that the
 * manifest was made from.
 */
export type Mark = string;

/**
 * What a table contains, whatever the order of its rows: how many there are, and a hash of all their values, which is
 * the same for equal rows in any file. It protects against accidents, not against a person who constructs rows.
 */
export type TableContent = {rows: number; hash: string};

/**
 * One consistent view over the requested tables. Callers must always close it: it may hold a lock.
 *
 * Methods that may have to ask a server return promises. A caller awaits one per table or per segment (about 1
 * MiB), never one per row.
 */
export interface Snapshot {
  /** The mark for the next increment; absent when tracking was not asked for. */
  readonly mark: Mark | undefined;
  readonly schemas: readonly TableSchema[];
  /** Views and virtual tables, in the order in which a restore creates them; empty unless `objects` was set. */
  readonly objects: readonly SchemaObject[];
  /**
   * Properties of the database, not of a table (page size, encoding, …), as the source's own JSON; passed to
   * `stage`.
   */
  readonly database: DatabaseFacts;
  /** The approximate bytes of the table's rows; for progress only. */
  estimatedBytes(table: TableName): Promise<number>;
  /** The exact number of rows; may need a scan. */
  countRows(table: TableName): Promise<number>;
  /**
   * All rows of the table. Its streams are read one after the other, in the order of the tables and trees.
   * @throws BkpError `SOURCE_DAMAGED`, also while a stream is read
   */
  base(table: TableName, options?: BaseOptions): Promise<TableBase>;
  /**
   * What the table contains. It is known once a `base` of records was read. Otherwise the table is read, unless that
   * takes more than `mostBytes`.
   * @returns undefined if it is not known; `readBytes`: about how much was read for it
   * @throws BkpError `SOURCE_DAMAGED`
   */
  content(
    table: TableName,
    options: {mostBytes: number},
  ): Promise<{content: TableContent; readBytes: number} | undefined>;
  /**
   * @returns `rebase` when the log cannot name every changed key of the table, which may be another one of the same
   *   name by now: the increment takes a new `base` of it instead; the next increment may take its changes again.
   *   `allRows` of the options was called with the reason.
   */
  changes(table: TableName, since: Mark): Promise<Changes | 'rebase'>;
  /**
   * Of as many consecutive tables, the changes may be asked for and their reading begun before those of the first one
   * are taken. Absent: 1.
   */
  readonly tablesAtOnce?: number;
  /**
   * Instead of `changes`, where there is no log of them: reads the rows that may differ from those of a base. Present
   * if `since` was given and the source found no changes otherwise.
   * @param options.mostKeys from how many differing rows on the table should have a new base
   * @returns `rebase` as in `changes`
   */
  readonly compare?:
    | ((table: TableName, base: StoredRows, options: {mostKeys: number}) => Promise<Difference | 'rebase'>)
    | undefined;
  /**
   * To be called when everything has been read, before the backup is committed.
   * @throws BkpError `SOURCE_UNAVAILABLE` when the view did not hold throughout
   */
  confirm(): Promise<void>;
  close(): Promise<void>;
}

export type SnapshotOptions = {
  tables: readonly TableName[];
  /**
   * Every table that `describe('all')` named. A snapshot of a database with others, which were created or dropped since
   * then, fails with `BUSY`. Absent: only `tables` matter.
   */
  known?: readonly TableName[] | undefined;
  /** Views and virtual tables too. Default false. */
  objects?: boolean;
  /** Names of objects that stay out, as `describe` spells them. */
  exceptObjects?: readonly string[] | undefined;
  /** Leave the tables' own indexes out of their schemas (constraints stay). Default false. */
  omitIndexes?: boolean;
  /**
   * Track changes for this owner (a collection's id) from this snapshot on; existing tracking continues.
   * Absent: nothing is written to the source.
   */
  track?: {owner: string} | undefined;
  /** Tables whose changes are not tracked: each backup takes their `rows`. */
  whole?: readonly TableName[] | undefined;
  /**
   * The snapshot continues from this mark, which the source must still know: otherwise the database was replaced by
   * another one or by an older copy, and the snapshot fails with `CHAIN_BROKEN`. `fingerprints`: of the tables whose
   * changes were tracked until then. A table that changed its schema, or whose log has a gap, begins again alone: its
   * `changes` are `rebase`. Tables without a fingerprint join.
   */
  since?: {owner: string; mark: Mark; fingerprints: Readonly<Record<TableName, string>>} | undefined;
  /**
   * What the backup has that this one continues. A source may take it over if it knows that nothing of it has changed.
   */
  before?: (BackupParts & {database: DatabaseFacts}) | undefined;
  signal?: AbortSignal | undefined;
  /** Something the user should know once (for example: writers wait while this runs). */
  notice?: ((text: string) => void) | undefined;
  /** Called with why `changes` or `compare` are `rebase`, in words that follow "all rows of … are taken:". */
  allRows?: ((table: TableName, why: string) => void) | undefined;
  /** Called before one call that may block this thread for many seconds. */
  blocks?: (() => void) | undefined;
};

/** A tree of a base in a backup. */
export type StoredTree = Tree & {records: number};

/** The base of a table, of records, and how many keys all later deltas of it name. */
export type StoredBase = {trees: readonly StoredTree[]; changedKeys: number};

/**
 * How a backup goes into the table that has the name now: `merge` brings back rows that were changed or deleted, and
 * keeps those that only the table has; `replace` also removes these. Where the table's own statement is not that of the
 * backup any more, `replace` replaces the table with its schema: its indexes, triggers and counter are then those of
 * the backup, its changes are no longer tracked, and so the next increment takes a new base of it.
 */
export type MergeMode = 'merge' | 'replace';

/**
 * What a merge did with the rows of a table, or would do. `kept`: those that only the table has. Of a table that was
 * replaced with its schema, all rows are deleted and inserted.
 */
export type MergedTable = {
  name: TableName;
  inserted: number;
  updated: number;
  deleted: number;
  kept: number;
  /** Keys of some of these rows as text for people, if they were asked for. */
  examples?: {[Change in 'inserted' | 'updated' | 'deleted']: readonly string[]} | undefined;
};

/** A restored table, as `finish` reports it. */
export type PublishedTable = {name: TableName; rows: number; content?: TableContent | undefined};

/**
 * Tables that are being restored, invisible to other connections until `publish`.
 * Ends with `publish` or `discard`; after a crash the next `discardStaging` of the source removes the rest.
 */
export interface Staging {
  /** The trees of this table's base that `loadTree` is to bring; the others are rebuilt from the rows. */
  wanted(table: TableName): readonly Tree[];
  /**
   * Loads all records of a tree. All trees come before the first `load` and `removeKeys`, those of a table in the order
   * of its base. Resolves when all chunks have been taken over.
   * @param chunks the segments of the tree; each one's memory belongs to the caller again when it is asked for the next
   * @throws BkpError `OBJECT_DAMAGED` when they are not the tree's records; then, or in a later call
   */
  loadTree(table: TableName, tree: StoredTree, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * How much of a tree is there already, because an interrupted staging of the same plan is continued: all of it, or
   * its first chunks, and their bytes together. `loadTree` is called only for the rest. Absent: nothing is ever there.
   */
  present?(tree: StoredTree): 'all' | {chunks: number; bytes: number};
  /**
   * What an interrupted staging of the same plan that is continued has loaded and removed already: the first calls of
   * `load` and `removeKeys`, in the order in which a restore makes them, with the length of the segment and what the
   * call returned. They are not made again. Absent: always empty.
   */
  applied?(): readonly {bytes: number; count: number}[];
  /** Loads a segment of rows; the caller uses its memory again afterwards. @returns the rows in the segment */
  load(table: TableName, segment: Uint8Array): Promise<number>;
  /**
   * Deletes the rows of a segment of keys, whose memory is used again as in `load`. A delta layer first removes all its
   * keys, then loads all its rows.
   * @returns the keys in the segment, including keys without a row
   */
  removeKeys(table: TableName, segment: Uint8Array): Promise<number>;
  /**
   * Tables of which an interrupted staging of the same plan that is continued has loaded all layers and ended with
   * `complete`: no method is called for them any more. Absent: always empty.
   */
  completed?(): ReadonlySet<TableName>;
  /** Of how many tables layers may be loaded at the same time. Absent: of one, and all trees come before. */
  readonly concurrency?: number;
  /** All layers of the table have been loaded. Optional: `finish` does what is left. */
  complete?(table: TableName, signal: AbortSignal): Promise<void>;
  /** Builds indexes, runs the database's own check and counts rows. Nothing is visible yet. */
  finish(options: {
    check: 'quick' | 'full';
    /** Tables of which the content is wanted; default: none. */
    contentOf?: ReadonlySet<TableName>;
    signal?: AbortSignal | undefined;
    progress?: ((step: string) => void) | undefined;
    /** Receives what differs from what the application may expect. */
    notice?: ((text: string) => void) | undefined;
  }): Promise<readonly PublishedTable[]>;
  /**
   * All tables become visible in one transaction, or none does.
   * @param options.resume start tracking for this owner in the same transaction, from `mark` on
   * @param options.notice receives what was left out because something that it needs is missing
   * @param options.missing receives what had content in the source and has none: a view that cannot be refreshed
   * @throws BkpError `TABLE_EXISTS` when a target appeared meanwhile
   */
  publish(options: {
    resume?: {owner: string; mark: Mark} | undefined;
    signal?: AbortSignal | undefined;
    notice?: ((text: string) => void) | undefined;
    missing?: ((part: {name: string; why: string}) => void) | undefined;
  }): Promise<void>;
  /**
   * Instead of `publish`, for tables that were staged with a `mode`: brings the living tables to their state in
   * the backup, all in one transaction. Their own triggers do not fire; change tracking sees every changed row.
   * @param options.dryRun find out exactly what would happen, errors and notices too, and change nothing
   * @param options.notice receives what the application has to see to
   * @throws BkpError `PRECONDITION` naming the difference of columns, or rows that cannot come back or would refer to
   *   nothing; `UNSUPPORTED` to merge a table without a primary key; `TABLE_NOT_FOUND`; `BUSY` if a table was altered
   *   since it was staged. Nothing is changed then
   */
  merge(options: {
    dryRun: boolean;
    signal?: AbortSignal | undefined;
    notice?: ((text: string) => void) | undefined;
  }): Promise<readonly MergedTable[]>;
  /**
   * Counts what `merge` would do with the rows, and names some of them; it changes nothing, and does not find out
   * whether rows would be refused.
   * @param options.examples how many rows of each kind are named
   */
  compare(options: {examples: number}): Promise<readonly MergedTable[]>;
  discard(): Promise<void>;
  /**
   * Instead of `discard` after an error that may pass: another staging with the same plan continues it once this
   * process has ended. Absent: nothing is ever kept.
   * @returns whether anything is kept
   */
  leave?(): Promise<boolean>;
}

/** The tables, views and virtual tables of a backup. */
export type BackupParts = {schemas: readonly TableSchema[]; objects: readonly SchemaObject[]};

/** A table, view or virtual table of a backup that a restore is to bring; names as the user wrote them. */
export type WantedTable = {
  name: string;
  /** Its name in the target. Absent: the same. */
  as?: string | undefined;
};

/** What of a backup a restore brings. JSON: it is part of a work order. */
export type Choice = {
  tables: readonly ChosenTable[];
  /** Names of views and virtual tables. */
  objects: readonly string[];
  /** What does not come although the user may expect it, and what gets another name; one sentence each. */
  notices: readonly string[];
};

export type ChosenTable = {
  /** Its name in the backup. */
  name: TableName;
  /** The table under another name, with what refers to it. Absent: it keeps its name and its schema. */
  as?: TableSchema;
};

/** What is restored, as a plan knows it before anything is loaded. */
export type Incoming = BackupParts & {
  /** The tables as the backup has them, in the order of `schemas`, which has the names that they get. */
  stored: readonly TableSchema[];
  database: DatabaseFacts;
  /** About how many bytes of rows, keys and index entries are loaded. */
  bytes: number;
};

/** What a restore would meet in a database. */
export type TargetFindings = {
  /** Why nothing at all can be restored there, whatever is in the way. */
  refusal?: BkpError;
  /** The error that the restore would fail with, as far as it can be found without loading rows. */
  obstacle?: BkpError;
  /** What comes with each table, in words: `2 indexes, 1 trigger`; empty where only the table comes. */
  brings: ReadonlyMap<TableName, string>;
  /** Triggers and views that cannot come, foreign keys to tables that are not restored; one sentence each. */
  notices: readonly string[];
  /** On the disk where the restore writes. Absent where this is not known. */
  space?: {
    /** A folder on that disk. */
    place: string;
    /** About how much the restore needs at most, while it runs. */
    neededBytes: number;
    freeBytes: number;
  };
};

/** What restores a source has, for statements that refuse the others at once. */
export type Abilities = {
  /** Of the database system, for people. */
  title: string;
  /** Where tables go that are not to replace the living ones: into a file of their own, or another schema. */
  beside: 'file' | 'schema';
  modes: readonly MergeMode[];
};

/** A database of its own on the source's server, for tables that are thrown away. */
export interface ScratchDatabase {
  /** For people. */
  readonly name: string;
  readonly source: TableSource;
  /** Has the server check what was restored; sentences about it. @throws BkpError `SOURCE_DAMAGED` */
  verify(): Promise<{checked: readonly string[]; notChecked: readonly string[]}>;
  /** Runs a query that can only read. It holds if it returns one row whose first column is true, in time. */
  ask(sql: string, end: QueryEnd): Promise<{held: boolean; found: string}>;
  remove(): Promise<void>;
}

/** Creates databases on the source's server. An id consists of hexadecimal digits. */
export interface ScratchDatabases {
  /**
   * @param options.isOfSource for a comparison with the source: another server cannot take its place
   * @throws BkpError `PRECONDITION` if the role may not create one
   */
  require(options?: {isOfSource?: boolean}): Promise<void>;
  create(id: string): Promise<ScratchDatabase>;
  /** Removes what a crash left. */
  remove(id: string): Promise<void>;
}

/** One point that `bkp doctor` reports; `next`: what to do when it is not well. */
export type SourceCheck = {what: string; ok: boolean; detail: string; next?: string};

/** A database whose tables can be backed up and restored. Contract suite: test/sources/contract.ts. */
export interface TableSource {
  /** As the user wrote it, without secrets, absolute: `sqlite::path=/srv/app.db`. */
  readonly description: string;
  readonly abilities: Abilities;
  /** Absent for a database in a file: a file of its own serves as well. */
  readonly scratch?: ScratchDatabases;

  /**
   * Stays with the database, whatever its path; the first tracking creates it. Undefined before that, and when
   * there is no database yet.
   */
  identity(): Promise<string | undefined>;
  /** Its current location; undefined when there is no database yet. */
  origin(): Promise<Origin | undefined>;
  /**
   * `all`: every table of the user, sorted.
   * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED`
   */
  describe(tables: readonly TableName[] | 'all'): Promise<readonly TableFacts[]>;
  /**
   * What a backup of these tables does not contain and its restore may lack, one sentence each: tables that
   * cannot be backed up, triggers that need other tables, virtual tables of missing modules. Empty when there
   * is no database.
   * @param except of all: tables and objects that stay out, as `describe` spells them
   */
  leftBehind(tables: readonly TableName[] | 'all', except?: readonly string[]): Promise<readonly string[]>;
  /**
   * Refuses a snapshot that cannot be taken, before any work starts; nothing is written. Absent: only `snapshot` knows.
   * @param options.track whether changes are to be tracked from it on
   * @throws BkpError `PRECONDITION` for rights that are missing | `SOURCE_UNAVAILABLE`
   */
  preflight?(options: {tables: readonly TableName[]; track: boolean}): Promise<void>;
  /**
   * Whether one call of a backup may block this thread for many seconds, as far as a quick look shows. What shows later
   * is told by `blocks` of the snapshot. Absent: no call does.
   * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED`
   */
  mayBlock?(type: 'full' | 'incremental'): Promise<boolean>;
  /** Whether a log has what changed since a backup with this mark. Absent: always, or its snapshot fails. */
  isLogged?(mark: Mark): Promise<boolean>;
  /** Those of `others` without which the tables of a backup cannot be created. Absent: none. */
  neededBy?(schemas: readonly TableSchema[], others: readonly TableSchema[]): readonly TableSchema[];
  snapshot(options: SnapshotOptions): Promise<Snapshot>;
  /** The manifest with `mark` is durable: the log before it and older marks of the owner may be removed. */
  acknowledge(owner: string, mark: Mark): Promise<void>;
  /**
   * Ends tracking for this owner; removes what no other owner needs, and what is broken. An unknown owner is
   * not an error.
   */
  untrack(owner: string): Promise<void>;
  /** Owners with tracking in the source, for `doctor`. */
  tracking(): Promise<readonly {owner: string; tables: readonly TableName[]; logRows: number}[]>;
  /** Tracking of which a part was removed or changed: `detail` says what, and whether it makes writes fail. */
  brokenTracking(): Promise<readonly {table: TableName; detail: string}[]>;
  /** Removes what `brokenTracking` names; a full backup tracks again. */
  removeBrokenTracking(): Promise<void>;
  /** What a backup of a whole database with these facts lacks, one sentence for each kind. Absent: nothing is known. */
  lacking?(database: DatabaseFacts): readonly string[];
  /**
   * Finds the tables that a user names among those of a backup, with what belongs to them: the tables in which a
   * virtual table keeps its rows. Names of indexes and triggers that the target has already are replaced where a table
   * gets another name.
   * @param options.schema the schema that gets all of them. Absent: the one that each had
   * @throws BkpError `TABLE_NOT_FOUND` | `UNSUPPORTED` | `BAD_NAME` | `BAD_REQUEST` (one table or name twice)
   */
  choose(parts: BackupParts, wanted: readonly WantedTable[], options?: {schema?: string | undefined}): Promise<Choice>;
  /**
   * Finds out what a restore would meet; nothing that is written stays.
   * @param options.rehearse also find out what cannot come, which takes longer. Without it, `notices` is empty, and the
   *   obstacle is the one with which `stage` would begin
   * @param options.mode the tables exist: the obstacle is what `merge` would refuse whatever the rows are
   */
  survey(incoming: Incoming, options: {rehearse: boolean; mode?: MergeMode | undefined}): Promise<TargetFindings>;
  /**
   * By table, the trees of bases of records that a restore without a mode loads, as the `wanted` of its staging: it
   * builds the other indexes from the rows. Absent: it loads all.
   */
  treesToLoad?(
    schemas: readonly TableSchema[],
    bases: ReadonlyMap<TableName, StoredBase>,
  ): Promise<ReadonlyMap<TableName, ReadonlySet<string>>>;
  /**
   * @param options.id identifies what is left after a crash
   * @param options.objects created after the tables
   * @param options.bases the bases that consist of records; the rows of all other tables come by `load`
   * @param options.published by the names in `schemas`: the schemas under which tables are published instead
   * @param options.plan identifies exactly what is restored. What an interrupted staging with the same plan left, and
   *   whose process has ended for sure, is continued; what one with another plan left is removed. Absent: nothing is
   *   continued, and nothing continues this one
   * @param options.mode the tables exist, and `merge` changes them; objects do not come. Absent: the tables are new,
   *   and `publish` creates them
   * @throws BkpError `TABLE_EXISTS` naming every table in the way; with a mode what `merge` throws for such tables
   */
  stage(
    schemas: readonly TableSchema[],
    options: {
      id: string;
      database: DatabaseFacts;
      objects?: readonly SchemaObject[];
      bases?: ReadonlyMap<TableName, StoredBase>;
      published?: ReadonlyMap<TableName, TableSchema>;
      mode?: MergeMode | undefined;
      plan?: string | undefined;
    },
  ): Promise<Staging>;
  /**
   * Removes what a staging with this id left behind.
   * @param options.unlessContinuable keep what a later `stage` with the same plan can continue. Default false
   * @returns whether something is kept
   */
  discardStaging(id: string, options?: {unlessContinuable?: boolean}): Promise<boolean>;
  /** @param needed the tables that collections read, and those of which they track changes. Absent: all of the user */
  inspect(needed?: {
    read: readonly TableName[] | 'all';
    track: readonly TableName[] | 'all';
  }): Promise<readonly SourceCheck[]>;
  close(): Promise<void>;
}
