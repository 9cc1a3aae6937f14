import {DatabaseSync, type SQLInputValue} from 'node:sqlite';
import type {Catalogue, ColumnType, Value, View} from './catalogue.ts';

const affinities: Readonly<Record<ColumnType, string>> = {
  VARCHAR: 'TEXT',
  INT: 'INTEGER',
  LONG: 'INTEGER',
  DOUBLE: 'REAL',
  BOOLEAN: 'INTEGER',
  TIMESTAMP: 'TEXT',
};

/**
 * `length`: bytes of one value, and so of what `printf('%1000000000d', 1)` may cost. The others are far above what anybody
 * types. `attach`: no file is ever opened.
 */
const limits = {length: 16 * 2 ** 20, sqlLength: 2 ** 20, exprDepth: 200, compoundSelect: 100, attach: 0};

const clockFunction = 'bkp_in_time';

/** Where the rows of a view lie. Nobody types this; it is a table of its own so that the clock stands in front of it. */
export const tableOf = (view: string) => `rows of ${view}`;
export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/**
 * An empty database in memory with the catalogue's views and functions.
 * @param onRow called for every row that is read from a view: node:sqlite has no progress handler, and a join that was
 *   forgotten reads very many. An error that it throws ends the statement. (What a statement materializes first it reads
 *   without this; without recursion even that comes to an end.)
 * @param scalar the value of a scalar while the statement runs
 */
export function openDatabase(catalogue: Catalogue, onRow: () => void, scalar: (name: string) => Value): DatabaseSync {
  const database = new DatabaseSync(':memory:', {defensive: true, limits});
  database.function(clockFunction, (_row) => {
    onRow();
    return 1;
  });
  for (const [name, view] of Object.entries(catalogue.views)) {
    const columns = Object.entries(view.columns);
    const typed = columns.map(([column, type]) => `${quoted(column)} ${affinities[type]}`).join(', ');
    const plain = columns.map(([column]) => quoted(column)).join(', ');
    database.exec(`CREATE TABLE ${quoted(tableOf(name))} (${typed});
      CREATE VIEW ${quoted(name)} AS SELECT ${plain} FROM ${quoted(tableOf(name))} WHERE ${clockFunction}(rowid)`);
  }
  for (const name of Object.keys(catalogue.scalars)) database.function(name, () => stored(scalar(name)));
  return database;
}

export async function fill(database: DatabaseSync, name: string, view: View): Promise<void> {
  const columns = Object.keys(view.columns);
  const rows = await view.rows();
  const insert = database.prepare(`INSERT INTO ${quoted(tableOf(name))} VALUES (${columns.map(() => '?').join(', ')})`);
  database.exec('BEGIN');
  for (const row of rows) insert.run(...columns.map((column) => stored(row[column])));
  database.exec('COMMIT');
}

/**
 * SQLite has no booleans; the answer makes them of numbers again where a column says so. A whole number becomes a bigint
 * because node:sqlite makes a REAL of every other.
 */
function stored(value: Value | undefined): SQLInputValue {
  if (value === undefined) return null;
  if (typeof value === 'boolean') return BigInt(value);
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value;
}
