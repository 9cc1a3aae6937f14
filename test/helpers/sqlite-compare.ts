import {DatabaseSync} from 'node:sqlite';
import {pathToFileURL} from 'node:url';
import {expect} from 'vitest';

/** Everything that must be restored, in a form that a test can print: schema, counters, every value bit for bit. */
export type DatabaseImage = {
  schema: readonly string[];
  sequence: readonly string[];
  /** `integrity_check` without CHECK constraints: rows that violate one are data like all others. */
  integrity: readonly string[];
  tables: Readonly<Record<string, readonly string[]>>;
};

const own = /^_bkp_/i;

/** @param tables absent: all; bkp's tracking tables are left out. */
export function imageOf(path: string, tables?: readonly string[]): DatabaseImage {
  const db = new DatabaseSync(pathToFileURL(path), {
    enableForeignKeyConstraints: false,
    enableDoubleQuotedStringLiterals: true,
  });
  try {
    db.exec('BEGIN; PRAGMA ignore_check_constraints = ON');
    const objects = db
      .prepare(`SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'`)
      .all()
      .map((row) => row as Record<'type' | 'name' | 'tbl_name' | 'sql', string>)
      .filter((row) => !own.test(row.name) && !own.test(row.tbl_name))
      .filter((row) => row.type !== 'view' && (tables === undefined || tables.includes(row.tbl_name)));
    const names = objects.filter((row) => row.type === 'table').map((row) => row.name);
    const hasSequence = db.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'`).get() !== undefined;
    return {
      schema: objects.map((row) => `${row.type} ${row.name} ON ${row.tbl_name}: ${row.sql}`).sort(),
      sequence: (hasSequence ? db.prepare('SELECT name, CAST(seq AS TEXT) AS seq FROM sqlite_sequence').all() : [])
        .filter((row) => names.includes(String(row.name)))
        .map((row) => `${row.name}=${row.seq}`)
        .sort(),
      integrity: db
        .prepare('PRAGMA integrity_check')
        .all()
        .map((row) => String(row.integrity_check)),
      tables: Object.fromEntries(names.sort().map((name) => [name, rowsOf(db, name)])),
    };
  } finally {
    db.close();
  }
}

export function expectSame(restored: string, original: string, tables?: readonly string[]): void {
  const [actual, wanted] = [imageOf(restored, tables), imageOf(original, tables)];
  expect(wanted.integrity).toEqual(['ok']);
  expect(actual).toEqual(wanted);
}

function rowsOf(db: DatabaseSync, table: string): readonly string[] {
  const columns = db.prepare('SELECT name, pk FROM pragma_table_xinfo(?)').all(table);
  const terms = columns.map(({name}) => bits(quoted(String(name))));
  // An undeclared rowid is still visible to queries that select it.
  if (columns.every(({pk}) => pk === 0)) terms.unshift(bits('rowid'));
  const statement = db.prepare(`SELECT ${terms.join(', ')} FROM main.${quoted(table)}`);
  statement.setReturnArrays(true);
  return (statement.all() as unknown as string[][]).map((row) => row.join(' | ')).sort();
}

/** The storage class and every bit of the value. */
export function bits(column: string): string {
  return `typeof(${column}) || ' ' || CASE typeof(${column})
    WHEN 'text' THEN hex(CAST(${column} AS BLOB))
    WHEN 'blob' THEN hex(${column})
    WHEN 'real' THEN format('%!.26g', ${column})
    ELSE quote(${column}) END`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
