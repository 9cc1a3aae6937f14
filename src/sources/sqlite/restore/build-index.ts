import type {Connection} from '../engine/connection.ts';
import {requireOneIndex} from '../engine/from-manifest.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {editSchema, exchangeRoots, isConstraint} from '../engine/schema-table.ts';
import {indexTerms, unquoted} from '../engine/sql-text.ts';
import {recordedColumns, type Table} from '../schema/table.ts';

/** The indexes that a table's own constraints have, by name. */
export function constraintIndexes(connection: Connection, table: Table): readonly string[] {
  return connection
    .all(
      `SELECT name FROM main.sqlite_schema
       WHERE type = 'index' AND tbl_name = ? COLLATE NOCASE AND sql IS NULL ORDER BY rowid`,
      table.name,
    )
    .map((row) => String(row.name));
}

/** The terms of an index of plain columns as SQL, with their collations and directions. */
export function indexedColumns(connection: Connection, index: string): string {
  return connection
    .all(`SELECT name, coll, "desc" FROM pragma_index_xinfo(?, 'main') WHERE key = 1 ORDER BY seqno`, index)
    .map(
      (part) =>
        `${quoteName(String(part.name))} COLLATE ${quoteName(String(part.coll))}${part.desc === 1n ? ' DESC' : ''}`,
    )
    .join(', ');
}

/**
 * Builds the index of a constraint from the table's rows.
 * @returns false when the rows violate the constraint; the index then contains them anyway, as in the source
 */
export function buildConstraintIndex(connection: Connection, table: Table, index: string): boolean {
  try {
    connection.exec(`REINDEX main.${quoteName(index)}`);
    return true;
  } catch (error) {
    if (!isConstraint(error)) throw error;
  }
  const twin = `${ownPrefix}twin`;
  connection.exec(`CREATE INDEX main.${twin} ON ${quoteName(table.name)} (${indexedColumns(connection, index)})`);
  exchangeRoots(connection, index, twin);
  connection.exec(`DROP INDEX main.${twin}`);
  return false;
}

/**
 * Creates an index by its own statement.
 * @param make runs a statement
 * @returns false when the rows violate a UNIQUE index; it then contains them anyway, as in the source
 */
export function buildIndex(connection: Connection, sql: string, make: (sql: string) => void): boolean {
  try {
    make(sql);
    return true;
  } catch (error) {
    if (!isConstraint(error)) throw error;
  }
  make(sql.replace(/^CREATE\s+UNIQUE\s+INDEX/i, 'CREATE INDEX'));
  editSchema(connection, () => {
    connection.run(
      `UPDATE main.sqlite_schema SET sql = ? WHERE rowid = (SELECT max(rowid) FROM main.sqlite_schema)`,
      sql,
    );
  });
  return false;
}

/** The terms of a CREATE INDEX that SQLite computes from a row; the others are plain columns. */
function computedTerms(table: Table, sql: string): readonly string[] {
  const recorded = new Set(recordedColumns(table).map(({name}) => foldName(name)));
  return indexTerms(sql).terms.filter((term) => !recorded.has(foldName(unquoted(term))));
}

/** Whether it has an entry for each row, made of nothing but columns that the row's record holds. */
export function isPlainIndex(table: Table, sql: string): boolean {
  return indexTerms(sql).where === undefined && computedTerms(table, sql).length === 0;
}

/**
 * Bytes that an index computes from the table's rows; 0 for an index of plain columns.
 * @throws BkpError `OBJECT_DAMAGED` when the statement does something else; what SQLite reports when it cannot
 *   compute it
 */
export function computedBytes(connection: Connection, table: Table, sql: string): number {
  const computed = computedTerms(table, sql);
  if (computed.length === 0) return 0;
  // SQLite accepts no subquery in an index: an expression that compiles there contains none here either.
  requireOneIndex(connection, table.name, sql);
  const lengths = computed.map((term) => `ifnull(length(CAST((${term}) AS BLOB)), 0)`);
  const {where} = indexTerms(sql);
  const condition = where === undefined ? '' : ` WHERE ${where}`;
  return connection.number(`SELECT total(${lengths.join(' + ')}) FROM main.${quoteName(table.name)}${condition}`);
}
