import {quoteName} from './quote.ts';

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
};

export type NamedSql = {name: string; sql: string};

export type Column = {
  name: string;
  /** As declared, empty when it is not. */
  type: string;
  /** Computed by SQLite, stored or not: never copied. */
  generated: boolean;
  /** The one that `COLLATE` (or BINARY) gave it. */
  collation: string;
  /**
   * A NOT NULL column's default as SQL: what `OR REPLACE` puts where a statement says NULL, after the triggers that
   * run before have seen the NULL.
   */
  insteadOfNull?: string;
};

/** By what rows are told apart, found and put in order. */
export type Key =
  /**
   * A 64-bit integer. `column`: the INTEGER PRIMARY KEY; absent when the table has no declared key, then it is the
   * rowid that SQLite gave.
   */
  | {kind: 'rowid'; alias: string; column?: string}
  | {
      kind: 'columns';
      parts: readonly KeyPart[];
      /** How to say rowid in this table; absent WITHOUT ROWID. */
      alias?: string;
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
  where?: string;
};

/** The columns that are copied. */
export function storedColumns(table: Table): readonly Column[] {
  return table.columns.filter((column) => !column.generated);
}

/** The key's columns, quoted, in its order; a rowid by one of its names. */
export function keyNames(key: Key): readonly string[] {
  return key.kind === 'rowid' ? [key.alias] : key.parts.map((part) => quoteName(part.column));
}
