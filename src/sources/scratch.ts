import type {Cuts, DatabaseFacts, StoredBase, TableName, TableSchema, Tree} from './source.ts';

/** A value as a statement writes it. */
export type Literal = {kind: 'integer'; value: bigint} | {kind: 'text'; value: string};

/**
 * A comparison that holds for every wanted row of a table: `column operator value`, with the database's own rules for
 * comparing. `=` holds if one of several values is equal.
 */
export type KeyCondition = {
  /** As written in a statement; not necessarily a column of the table. */
  column: string;
  operator: '=' | '<' | '<=' | '>' | '>=';
  values: readonly Literal[];
};

/** How the base of a table is divided into segments: its rows, or the records of the table's own tree. */
export type BaseCuts = {form: 'rows' | 'records'; cuts: Cuts; segments: number};

/** How the entries of an index are divided into segments. `fingerprint`: see {@link Tree}. */
export type IndexCuts = {name: string; fingerprint?: string | undefined; cuts: Cuts; segments: number};

/** Rows for which all conditions hold, or those with one of the keys in a segment of keys of a delta. */
export type WantedRows = {conditions: readonly KeyCondition[]} | {keys: Uint8Array};

/** A decimal number with all of its digits: `1.50`, `-1e+300`. */
export type ExactNumber = {digits: string};

/** A stored value; integers are always bigint, so that no digit is lost. */
export type StoredValue = null | bigint | number | string | boolean | Uint8Array | ExactNumber;

/** How many rows a table of one scratch file has that another one has not. */
export type RowCounts = {added: number; changed: number; deleted: number};

/** By the names of the columns, in their order: an object would have columns with numbers as names first. */
export type StoredRow = ReadonlyMap<string, StoredValue>;

/** A row that two tables do not have in common. */
export type RowChange =
  | {kind: 'added'; row: StoredRow}
  | {kind: 'deleted'; row: StoredRow}
  | {kind: 'changed'; row: StoredRow; before: StoredRow};

/**
 * Tables of a backup in an SQLite file of their own, with all of their rows or some: to be read, and thrown away. They
 * have their columns and constraints, and no other indexes, no triggers. Nothing but the owner's process writes
 * the file, and nothing is synced.
 *
 * First `empty`, `segmentsWhere` and `segmentsOf` are asked; then the base of each table is loaded, `loadTree` before
 * `load`, then its deltas; then `finish`. What follows may be asked after that.
 */
export interface ScratchTables {
  readonly path: string;
  /** The tables without their rows, as SQLite serializes a database. */
  empty(): Uint8Array;
  /**
   * The segments of the base that can hold a row for which all conditions hold.
   * @returns their positions, ascending; undefined when the conditions or the cuts do not say which, so all are needed
   */
  segmentsWhere(table: TableName, base: BaseCuts, conditions: readonly KeyCondition[]): readonly number[] | undefined;
  /**
   * The segments of the base that can hold a row with one of the keys.
   * @param keys a segment of keys of a delta
   * @returns as `segmentsWhere`
   */
  segmentsOf(table: TableName, base: BaseCuts, keys: Uint8Array): readonly number[] | undefined;
  /**
   * The segments of an index that can hold an entry of a wanted row.
   * @returns as `segmentsWhere`; undefined also where the index does not serve
   */
  entriesOf(table: TableName, index: IndexCuts, wanted: WantedRows): readonly number[] | undefined;
  /**
   * The segments of the base that hold the wanted rows.
   * @param index.entries the segments of the index that `entriesOf` named
   * @returns as `segmentsWhere`
   */
  segmentsOfEntries(
    table: TableName,
    base: BaseCuts,
    index: IndexCuts & {entries: readonly Uint8Array[]},
    wanted: WantedRows,
  ): readonly number[] | undefined;
  /**
   * Loads records of the table's own tree, in their order.
   * @param tree.records their number, to be checked; absent for a part of the tree
   * @throws BkpError `OBJECT_DAMAGED` when they are not such records; then, or in a later call
   */
  loadTree(table: TableName, tree: Tree & {records?: number}, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** As in `Staging`. */
  load(table: TableName, segment: Uint8Array): Promise<number>;
  /** As in `Staging`. */
  removeKeys(table: TableName, segment: Uint8Array): Promise<number>;
  /** Builds the indexes of constraints. The file can be read then. */
  finish(options: {signal: AbortSignal}): Promise<void>;
  /** The columns of the table as `rows` returns them, in order. */
  columns(table: TableName): readonly string[];
  /** Whether SQLite's `rowid` of a row is part of the backup; otherwise it is a number of the scratch file only. */
  keepsRowids(table: TableName): boolean;
  /** All rows in the order of their key. */
  rows(table: TableName): Iterable<readonly StoredValue[]>;
  countRows(table: TableName): number;
  /** Whether rows of both are told apart by the same key, so that they can be compared one by one. */
  hasSameKey(other: ScratchTables, table: TableName): boolean;
  /** How the table's schema in `other` differs: one phrase each. */
  schemaChanges(other: ScratchTables, table: TableName): readonly string[];
  /** @returns what `other` has and this one has not (added), and the reverse */
  differences(other: ScratchTables, table: TableName): RowCounts;
  /** The same differences, row by row, in no particular order. */
  changes(other: ScratchTables, table: TableName): Iterable<RowChange>;
  /**
   * The tables as a script that the database's own client reads, with their rows. Absent: a file of the database
   * system is the plain form of its tables.
   */
  script?(): Iterable<string | Uint8Array>;
  /** Removes the file. */
  discard(): Promise<void>;
}

export type ScratchOptions = {
  /** The file to be created; its folder exists. */
  path: string;
  schemas: readonly TableSchema[];
  database: DatabaseFacts;
  /** The bases that consist of records, with the table's own tree alone. */
  bases: ReadonlyMap<TableName, StoredBase>;
};
