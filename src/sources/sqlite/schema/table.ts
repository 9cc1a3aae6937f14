import {quoteName} from '../engine/quote.ts';

/** What bkp knows about one table of an SQLite database; read by catalog.ts. */
export type Table = {
  name: string;
  /** CREATE TABLE, as sqlite_schema stores it. */
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
  /** CREATE TRIGGER statements, without those of bkp. */
  triggers: readonly NamedSql[];
  autoincrement: boolean;
  /** SQLite's message when it does not accept triggers that track the table's changes; absent when it does. */
  untrackable?: string | undefined;
  /** The virtual table whose rows it holds; absent for ordinary tables. */
  shadowOf?: string | undefined;
};

export type NamedSql = {name: string; sql: string};

export type Column = {
  name: string;
  /** As declared; empty without a declaration. */
  type: string;
  /** Computed by SQLite. */
  generated: boolean;
  /** Whether a row's record holds its value; false for generated columns that are not STORED. */
  recorded: boolean;
  /** From its `COLLATE`, else BINARY. */
  collation: string;
  /**
   * A NOT NULL column's default as SQL: `OR REPLACE` stores it where a statement gives NULL, after BEFORE triggers have
   * seen the NULL.
   */
  insteadOfNull?: string | undefined;
  /** Its default calls a function, so its value can differ each time. */
  computedDefault: boolean;
};

/** What identifies and orders rows. */
export type Key =
  /**
   * A 64-bit integer. `column`: the INTEGER PRIMARY KEY; absent when the table has no declared key, then the
   * key is the rowid that SQLite chose.
   */
  | {kind: 'rowid'; alias: string; column?: string | undefined}
  | {
      kind: 'columns';
      parts: readonly KeyPart[];
      /** A name for the rowid in this table; absent WITHOUT ROWID. */
      alias?: string | undefined;
    };

export type KeyPart = {
  column: string;
  /** Of the key's index, which decides whether two keys are equal. */
  collation: string;
  /** The column's own collation differs from that of the key's index: every comparison needs COLLATE. */
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
 * The quoted column names of a segment of rows. A rowid is copied only where the table has no declared key:
 * next to another key it is not stable (VACUUM changes it).
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
  // SQLite folds the letters of ASCII only.
  const word = type.replace(/[a-z]/g, (letter) => letter.toUpperCase());
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
