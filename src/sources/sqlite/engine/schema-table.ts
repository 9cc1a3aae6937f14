import type {Connection} from './connection.ts';
import {ResultCode, resultCode} from './errors.ts';

/**
 * Edits sqlite_schema, in a file that no other process has open or within a write transaction. SQLite documents this
 * (https://www.sqlite.org/pragma.html#pragma_writable_schema), and its shell's `.dump` and VACUUM do it.
 */
export function editSchema(connection: Connection, edit: () => void): void {
  try {
    connection.exec('PRAGMA writable_schema = ON');
    edit();
  } finally {
    // SQLite reads the schema again, and allows no more edits.
    connection.exec('PRAGMA writable_schema = RESET');
  }
}

// A trigger may have the same name as a table.
const named = `name = ? COLLATE NOCASE AND type IN ('table', 'index')`;

/** Exchanges the trees of two tables, or of two indexes. */
export function exchangeRoots(connection: Connection, one: string, other: string): void {
  const root = (name: string) => connection.value(`SELECT rootpage FROM main.sqlite_schema WHERE ${named}`, name)!;
  const roots = [root(one), root(other)];
  editSchema(connection, () => {
    const put = `UPDATE main.sqlite_schema SET rootpage = ? WHERE ${named}`;
    connection.run(put, roots[1]!, one);
    connection.run(put, roots[0]!, other);
  });
}

export function isConstraint(error: unknown): boolean {
  return resultCode(error) === ResultCode.constraint;
}

/** Whether the statements are in the schema byte by byte: reading replaced bytes that are not UTF-8. */
export function isText(connection: Connection, statements: readonly string[]): boolean {
  return statements
    .filter((sql) => sql.includes('\uFFFD') || sql.includes('\0'))
    .every(
      (sql) =>
        connection.get('SELECT 1 FROM main.sqlite_schema WHERE CAST(sql AS BLOB) = CAST(? AS BLOB)', sql) !== undefined,
    );
}
