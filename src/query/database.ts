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
 * `length` limits the bytes of one value, and so the cost of `printf('%1000000000d', 1)`. The others are far above what
 * people type.
 */
const limits = {length: 16 * 2 ** 20, sqlLength: 2 ** 20, exprDepth: 200, compoundSelect: 100};

/**
 * The table that contains the rows of a view. The view hides it, so that `rowid` and the like are not columns; users
 * do not type its name.
 */
export const tableOf = (view: string) => `rows of ${view}`;
export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

export type DatabaseOptions = {
  /** How many databases of backups can be attached. */
  attached: number;
  /** How they store text. Default UTF-8: SQLite attaches only databases that store it as the first one does. */
  encoding?: string | undefined;
  /** Their schemas have texts in double quotes, which SQLite accepts on request only. */
  oldTexts?: boolean | undefined;
};

const open = ({attached, oldTexts = false}: DatabaseOptions) =>
  new DatabaseSync(':memory:', {
    defensive: true,
    limits: {...limits, attach: attached},
    enableDoubleQuotedStringLiterals: oldTexts,
  });

/**
 * An empty database in memory with the catalogue's views and functions.
 * @param scalar the value of a scalar while the statement runs
 */
export function openDatabase(
  catalogue: Catalogue,
  scalar: (name: string) => Value,
  options: DatabaseOptions,
): DatabaseSync {
  const database = open(options);
  if (options.encoding !== undefined) database.exec(`PRAGMA encoding = '${options.encoding}'`);
  for (const [name, view] of Object.entries(catalogue.views)) {
    const columns = Object.entries(view.columns);
    const typed = columns.map(([column, type]) => `${quoted(column)} ${affinities[type]}`).join(', ');
    const plain = columns.map(([column]) => quoted(column)).join(', ');
    database.exec(`CREATE TABLE ${quoted(tableOf(name))} (${typed});
      CREATE VIEW ${quoted(name)} AS SELECT ${plain} FROM ${quoted(tableOf(name))}`);
  }
  addScalars(database, Object.keys(catalogue.scalars), scalar);
  return database;
}

/**
 * The database that another process serialized, or a file, read-only. Temporary data of sorting stays in memory, where
 * the limit applies, not on disk.
 */
export function reopenDatabase(
  from: Uint8Array | string,
  scalars: ReadonlyMap<string, Value>,
  options: DatabaseOptions = {attached: 0},
): DatabaseSync {
  const isFile = typeof from === 'string';
  // A row of a file may have a value of any size.
  const {length: _, ...others} = limits;
  const database = isFile
    ? new DatabaseSync(from, {defensive: true, readOnly: true, limits: {...others, attach: 0}})
    : open(options);
  if (!isFile) database.deserialize(from);
  database.exec('PRAGMA temp_store = MEMORY');
  addScalars(database, [...scalars.keys()], (name) => scalars.get(name) ?? null);
  return database;
}

function addScalars(database: DatabaseSync, names: readonly string[], scalar: (name: string) => Value): void {
  for (const name of names) database.function(name, () => stored(scalar(name)));
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
 * SQLite has no booleans: they are stored as integers, and columns of type BOOLEAN are converted back in the result.
 * Integers become bigints, because node:sqlite binds every JavaScript number as REAL.
 */
function stored(value: Value | undefined): SQLInputValue {
  if (value === undefined) return null;
  if (typeof value === 'boolean') return BigInt(value);
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value;
}
