import type {Origin} from './origin.ts';

/**
 * A table of the source, by the name its database knows it under (`orders`); case as the database has it.
 */
export type TableName = string;

/** What stands in the way of a table's being in a collection, or in one with increments. */
export type TableFacts =
  /** `reason`: when it is not the table alone that is missing, but its database. */
  | {name: TableName; state: 'absent'; reason?: string | undefined}
  /** Cannot be backed up as a table at all (a view, a virtual table); `reason` ends in what to do instead. */
  | {name: TableName; state: 'unsupported'; reason: string}
  /** `fullOnly`: why changes cannot be tracked (no declared primary key); absent when they can. */
  | {name: TableName; state: 'present'; fullOnly?: string | undefined};

/**
 * Everything but rows that makes the table again: the database's own statements and counters.
 * Opaque to all but its source; goes into the manifest as it is.
 */
export type TableSchema = {
  name: TableName;
  /** Changes when and only when rows of the one could not be loaded into the other: a chain has one fingerprint a table. */
  fingerprint: string;
  /** The source's own (CREATE statements of table, indexes, triggers, sequence …), JSON. */
  definition: {readonly [key: string]: string | number | null | readonly string[]};
};

/**
 * What a database has besides tables, and what comes back by its statement: a view, a virtual table (whose rows are in
 * tables). Opaque to all but its source; goes into the manifest as it is.
 */
export type SchemaObject = {
  name: string;
  definition: {readonly [key: string]: string | readonly string[]};
};

/** Opaque to all but its source; goes into the manifest as it is. */
export type DatabaseFacts = {readonly [key: string]: string | number | null};

/** Some rows or keys of one table in the database's own form. */
export type Segment = {
  bytes: Uint8Array;
  /** Rows in it. */
  rows: number;
};

/** A segment of a base, with where it begins in the order of the primary key. */
export type BaseSegment = Segment & {
  /**
   * Position of the segment with the same start in the previous base that `rows` was given, if there is one:
   * what it holds probably resembles this one.
   */
  previous?: number | undefined;
};

/**
 * Where a base's segments were cut, opaque JSON text; given to the next `rows` of the same table so that
 * unchanged ranges become the same bytes again.
 */
export type Cuts = string;

/** All rows of one table, cut into segments by primary-key range. */
export interface BaseStream extends AsyncIterable<BaseSegment> {
  /** Known when the iteration has ended. */
  cuts(): Cuts;
}

/**
 * What changed in one table since a mark: first every key that was touched, then the rows that those keys have now.
 * A key without a row is a delete. Both are empty when nothing was touched. A key with a NULL in it can have many rows.
 */
export type DeltaStream = {
  keys: AsyncIterable<Segment>;
  /** To be read after `keys`. */
  rows: AsyncIterable<Segment>;
};

/**
 * A point in the change log of the source, made before the snapshot it belongs to: the snapshot holds every change
 * up to the mark, and the log holds (at least) every change after the snapshot. Random text, kept in the source and
 * in the manifest: a source that does not know the mark is not the one the manifest was made from.
 */
export type Mark = string;

/**
 * One consistent view over the asked tables. Close it, always: it may hold a lock.
 *
 * Methods that may have to ask a server return promises. A caller awaits one per table or per segment (about 1 MiB), never one
 * per row.
 */
export interface Snapshot {
  /** The mark for the next increment; absent when tracking was not asked for. */
  readonly mark: Mark | undefined;
  readonly schemas: readonly TableSchema[];
  /** Views and virtual tables, in the order in which they are made again; empty when they were not asked for. */
  readonly objects: readonly SchemaObject[];
  /** What belongs to the database and not to a table (page size, encoding, …), the source's own JSON; given to `stage`. */
  readonly database: DatabaseFacts;
  /** For progress only: bytes that the tables' rows take, about. */
  estimatedBytes(table: TableName): Promise<number>;
  /** Rows of the table, exact; may cost a scan. */
  countRows(table: TableName): Promise<number>;
  rows(table: TableName, previous?: Cuts): BaseStream;
  /**
   * @returns `rebase` when the log cannot name every changed key: the increment takes all `rows` of this table instead, as a
   *   new base; the next increment may take its changes again
   * @throws BkpError `CHAIN_BROKEN` when the log no longer reaches back to `since`
   */
  changes(table: TableName, since: Mark): Promise<DeltaStream | 'rebase'>;
  close(): Promise<void>;
}

export type SnapshotOptions = {
  tables: readonly TableName[];
  /** Views and virtual tables too. Default false. */
  objects?: boolean;
  /** Leave the tables' own indexes out of their schemas (constraints stay). Default false. */
  omitIndexes?: boolean;
  /**
   * Track changes for this owner (a collection's id) from this snapshot on; tracking that is there already goes on.
   * Absent: nothing is written to the source.
   */
  track?: {owner: string} | undefined;
  /** Those of the tables whose changes are not tracked: each backup takes their `rows`. */
  whole?: readonly TableName[] | undefined;
  /**
   * The snapshot continues from this mark: the source must still know it, with its tracking unbroken, or
   * `CHAIN_BROKEN` says what happened (replaced database, missing trigger, changed schema, lost log).
   */
  since?: {owner: string; mark: Mark; fingerprints: Readonly<Record<TableName, string>>} | undefined;
  signal?: AbortSignal | undefined;
  /** Something the user should know once (for example: writers wait while this runs). */
  notice?: ((text: string) => void) | undefined;
};

/** What `publish` says of the tables it made. */
export type PublishedTable = {name: TableName; rows: number};

/**
 * Tables being made again, out of sight of everybody until `publish`.
 * Ends with `publish` or `discard`; after a crash the next `discardStaging` of the source removes what is left.
 */
export interface Staging {
  /** Rows of a base layer. Returns the rows now loaded. */
  load(table: TableName, segment: Uint8Array): Promise<number>;
  /**
   * A delta layer: first all its key segments (these rows go), then all its row segments (these come, by `load`).
   * @returns the keys in the segment, whether they had a row or not
   */
  removeKeys(table: TableName, segment: Uint8Array): Promise<number>;
  /** Indexes, the database's own check; the counts of rows. Nothing is visible yet. */
  finish(options: {
    check: 'quick' | 'full';
    signal?: AbortSignal | undefined;
    progress?: ((step: string) => void) | undefined;
    /** What came back otherwise than the application may expect. */
    notice?: ((text: string) => void) | undefined;
  }): Promise<readonly PublishedTable[]>;
  /**
   * All tables become visible in one transaction, or none does.
   * @param options.resume start tracking for this owner in the same transaction, from `mark` on
   * @param options.notice what was left out, because what it needs is not there
   * @throws BkpError `TABLE_EXISTS` when a target appeared meanwhile
   */
  publish(options: {
    resume?: {owner: string; mark: Mark} | undefined;
    signal?: AbortSignal | undefined;
    notice?: ((text: string) => void) | undefined;
  }): Promise<void>;
  discard(): Promise<void>;
}

/** One point that `bkp doctor` reports; `next`: what to do when it is not well. */
export type SourceCheck = {what: string; ok: boolean; detail: string; next?: string};

/** A database whose tables can be copied and made again. Contract suite: test/sources/contract.ts. */
export interface TableSource {
  /** As the user wrote it, without secrets, absolute: `sqlite::path=/srv/app.db`. */
  readonly description: string;

  /**
   * Stays with the database, whatever its path: made by the first tracking. Undefined before that, and when there is
   * no database yet.
   */
  identity(): Promise<string | undefined>;
  /** Where it is now; undefined when there is no database yet. */
  origin(): Promise<Origin | undefined>;
  /** `all`: every table of the user's, sorted. @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED` */
  describe(tables: readonly TableName[] | 'all'): Promise<readonly TableFacts[]>;
  /**
   * What a backup of these tables does not hold and its restore may lack, a sentence each: tables that cannot be backed up,
   * triggers that need other tables, virtual tables of modules that are not here. Empty when there is no database.
   */
  leftBehind(tables: readonly TableName[] | 'all'): Promise<readonly string[]>;
  snapshot(options: SnapshotOptions): Promise<Snapshot>;
  /** The manifest with `mark` is durable: log before it, and older marks of the owner, may go. */
  acknowledge(owner: string, mark: Mark): Promise<void>;
  /** No more tracking for this owner; what nobody else needs, or is broken, is removed from the source. Absent owner: no error. */
  untrack(owner: string): Promise<void>;
  /** Owners with tracking in the source, for `doctor`. */
  tracking(): Promise<readonly {owner: string; tables: readonly TableName[]; logRows: number}[]>;
  /** Tracking of which a part was taken out or changed: `detail` says what, and whether it stands in a writer's way. */
  brokenTracking(): Promise<readonly {table: TableName; detail: string}[]>;
  /** Takes out what `brokenTracking` names; a full backup tracks again. */
  removeBrokenTracking(): Promise<void>;
  /**
   * @param options.id names what is left behind after a crash
   * @param options.objects made again after the tables
   * @throws BkpError `TABLE_EXISTS` naming every table in the way
   */
  stage(
    schemas: readonly TableSchema[],
    options: {id: string; database: DatabaseFacts; objects?: readonly SchemaObject[]},
  ): Promise<Staging>;
  /** Removes what a staging with this id left behind. */
  discardStaging(id: string): Promise<void>;
  inspect(): Promise<readonly SourceCheck[]>;
  close(): Promise<void>;
}
