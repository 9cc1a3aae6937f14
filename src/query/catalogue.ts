import type {BackupTable} from './backup-tables.ts';

/** QuestDB's type names. A `TIMESTAMP` is text in a format that sorts by time. */
export type ColumnType = 'VARCHAR' | 'INT' | 'LONG' | 'DOUBLE' | 'BOOLEAN' | 'TIMESTAMP';

export type Value = string | number | bigint | boolean | null;

/** A read-only table. */
export type View = {
  /** Names in lower case with their types, in the order of `SELECT *`. */
  columns: Readonly<Record<string, ColumnType>>;
  /**
   * In the order without ORDER BY: the oldest first, so that `LIMIT -1` means the newest.
   * Called at most once per statement, and only when the statement is valid and uses the view.
   */
  rows: () => Promise<readonly RowOf<Readonly<Record<string, ColumnType>>>[]> | readonly RowOf[];
};

/** A value for each column; undefined is NULL. */
export type RowOf<Columns = Readonly<Record<string, ColumnType>>> = {
  readonly [Name in keyof Columns]: Value | undefined;
};

/** A single value: a function without arguments. */
export type Scalar = {
  type: ColumnType;
  /** Called at most once per statement, before its first row, and only when the statement is valid and uses it. */
  value: () => Promise<Value> | Value;
  /**
   * It may also be written without parentheses: `SELECT backup_instance_name`. No view may have a column of this
   * name.
   */
  bare?: true;
};

/** Tables of backups that a statement names, without rows at first. Always to be closed. */
export type OpenedTables = {
  /** For each table asked for, in the same order. */
  tables: readonly {
    /** Position in `databases`. */
    database: number;
    /** In the backup's own spelling. */
    name: string;
    columns: readonly string[];
    /** Whether its `rowid` means anything; otherwise a statement that names it is refused. */
    keepsRowids: boolean;
  }[];
  databases: readonly {
    /** The tables without rows, as SQLite serializes a database. */
    empty: Uint8Array;
    /** Loads the rows into a database file. Called when the statement is known to be valid. */
    load(): Promise<{path: string; bytes: number}>;
  }[];
  close(): Promise<void>;
};

/** Everything that a SELECT can read; the keys are names in lower case. */
export type Catalogue = {
  /** Opens the tables of backups that a statement names. Absent: there are none. */
  backups?: (tables: readonly BackupTable[]) => Promise<OpenedTables>;
  views: Readonly<Record<string, View>>;
  scalars: Readonly<Record<string, Scalar>>;
};

/** A view; the type checker verifies that its rows have exactly its columns. */
export function defineView<const Columns extends Readonly<Record<string, ColumnType>>>(
  columns: Columns,
  rows: () => Promise<readonly RowOf<Columns>[]> | readonly RowOf<Columns>[],
): View {
  return {columns, rows};
}
