import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {schemaRows} from '../engine/schema-rows.ts';
import {wordsIn} from '../engine/sql-text.ts';
import {otherVersion, ownVersion, versionText} from '../engine/versions.ts';
import {recordedColumns, type Table} from './table.ts';

/**
 * The indexes of a table with values that SQLite computes from the row. What it computes depends on its version: the
 * conversion of real numbers to text, for example, changed several times.
 */
export function computedIndexes(connection: Connection, table: string): readonly string[] {
  return connection
    .all(
      `SELECT DISTINCT l.name FROM pragma_index_list(?1, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS x
       WHERE x.key = 1 AND (x.cid = -2 OR x.name IN (SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 2))
       ORDER BY 1`,
      table,
    )
    .map((row) => String(row.name));
}

/**
 * The columns whose values the indexes may be computed from: those that the statements name, and all of them where a
 * virtual column is indexed.
 */
export function computedFromColumns(
  connection: Connection,
  table: Table,
  indexes: readonly string[],
): readonly string[] {
  const statements = indexes.map((name) => schemaRows(connection).find('index', name)?.sql ?? table.sql);
  const words = new Set(statements.flatMap((sql) => [...wordsIn(sql)]));
  const isVirtual = table.columns.some(
    ({name, generated, recorded}) => generated && !recorded && words.has(foldName(name)),
  );
  return recordedColumns(table)
    .map(({name}) => name)
    .filter((name) => isVirtual || words.has(foldName(name)));
}

/**
 * The condition that one of the columns has a number whose text has more than the 15 digits of SQLite before 3.52.
 * @param columns their names
 */
export function hasLongReal(columns: readonly string[]): string {
  const long = (column: string) =>
    `typeof(${column}) = 'real' AND CAST(${column} AS TEXT) <> format('%!.15g', ${column})`;
  return columns.map((column) => long(quoteName(column))).join(' OR ') || '0';
}

/**
 * What the user has to do where bkp's SQLite wrote entries of such indexes.
 * @param written versions that have written the database
 * @returns undefined if that was no other than bkp's
 */
export function reindexAdvice(
  connection: Connection,
  indexes: readonly string[],
  written: readonly number[],
): string | undefined {
  const theirs = otherVersion(connection, written);
  if (indexes.length === 0 || theirs === undefined) return undefined;
  const [here, there] = [ownVersion(connection), theirs].map(versionText);
  return (
    `SQLite ${here} built indexes of computed values, ${indexes.join(', ')}; the application has ${there}: ` +
    'run REINDEX there if its PRAGMA integrity_check names them'
  );
}
