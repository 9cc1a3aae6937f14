import {quoteName} from '../engine/quote.ts';

/** What bkp knows of one table of an SQLite database; read by catalog.ts. */
export type Table = {
  name: string;
  /** CREATE TABLE, as sqlite_schema has it. */
  sql: string;
  withoutRowid: boolean;
  strict: boolean;
  /** All of them, in order. */
  columns: readonly Column[];
  key: Key;
  /** UNIQUE indexes and constraints other than the key. */
  uniques: readonly UniqueIndex[];
  /** CREATE INDEX statements. */
  indexes: readonly NamedSql[];
  /** CREATE TRIGGER statements, those of bkp left out. */
  triggers: readonly NamedSql[];
  autoincrement: boolean;
  /** Why SQLite does not take triggers that track its changes, in its words; absent when it does. */
  untrackable?: string | undefined;
  /** The virtual table whose rows it holds; absent for ordinary ones. */
  shadowOf?: string | undefined;
};

export type NamedSql = {name: string; sql: string};

export type Column = {
  name: string;
  /** As declared, empty when it is not. */
  type: string;
  /** Computed by SQLite. */
  generated: boolean;
  /** A row's record holds a value of it; of generated columns only those that are STORED. */
  recorded: boolean;
  /** The one that `COLLATE` (or BINARY) gave it. */
  collation: string;
  /**
   * A NOT NULL column's default as SQL: what `OR REPLACE` puts where a statement says NULL, after the triggers that
   * run before have seen the NULL.
   */
  insteadOfNull?: string | undefined;
  /** Its default calls a function, and can be another value each time. Absent: it does not. */
  computedDefault: boolean;
};

/** By what rows are told apart, found and put in order. */
export type Key =
  /**
   * A 64-bit integer. `column`: the INTEGER PRIMARY KEY; absent when the table has no declared key, then it is the
   * rowid that SQLite gave.
   */
  | {kind: 'rowid'; alias: string; column?: string | undefined}
  | {
      kind: 'columns';
      parts: readonly KeyPart[];
      /** How to say rowid in this table; absent WITHOUT ROWID. */
      alias?: string | undefined;
    };

export type KeyPart = {
  column: string;
  /** Of the key's index: two keys are the same when it says so. */
  collation: string;
  /** The column compares in another way than the key's index: every comparison has to say COLLATE. */
  explicit: boolean;
  /** NULL never occurs in it. */
  notNull: boolean;
};

export type UniqueIndex = {
  name: string;
  /** Its parts as expressions on the table; column names are quoted. */
  terms: readonly {expression: string; collation: string; column?: string}[];
  /** The condition of a partial index. */
  where?: string | undefined;
};

/** The columns that are copied. */
export function recordedColumns(table: Table): readonly Column[] {
  return table.columns.filter((column) => column.recorded);
}

/**
 * What a segment of rows has under its names, quoted. A rowid is copied only where the table has no declared key: beside
 * another key it is nothing that lasts (VACUUM changes it).
 */
export function loadedNames(
  table: Table,
  {generated = true}: {generated?: boolean} = {},
): {columns: readonly string[]; rowid: readonly string[]} {
  const columns = recordedColumns(table).filter((column) => generated || !column.generated);
  const {key} = table;
  return {
    columns: columns.map((column) => quoteName(column.name)),
    rowid: key.kind === 'rowid' && key.column === undefined ? [key.alias] : [],
  };
}

/** https://www.sqlite.org/datatype3.html, 3.1; in a STRICT table ANY converts nothing. */
export function affinity({strict}: Table, {type}: Column): string {
  const word = type.toUpperCase();
  if (word === '' || (strict && word === 'ANY')) return 'BLOB';
  if (word.includes('INT')) return 'INTEGER';
  if (/CHAR|CLOB|TEXT/.test(word)) return 'TEXT';
  if (word.includes('BLOB')) return 'BLOB';
  return /REAL|FLOA|DOUB/.test(word) ? 'REAL' : 'NUMERIC';
}

/** The key's columns, quoted, in its order; a rowid by one of its names. */
export function keyNames(key: Key): readonly string[] {
  return key.kind === 'rowid' ? [key.alias] : key.parts.map((part) => quoteName(part.column));
}

export function keyAffinity(table: Table, part: number): string {
  if (table.key.kind === 'rowid') return 'INTEGER';
  const {column} = table.key.parts[part]!;
  return affinity(table, table.columns.find(({name}) => name === column)!);
}
