import {findTable, tableNames} from '../catalog/catalog.ts';
import type {Connection, Row} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import type {Table} from '../schema/table.ts';

/** Rows of a table whose foreign keys lead nowhere, noted in a temporary table. */
export type Dangling = {
  noted: string;
  /** What identifies its rows; empty where nothing does, so that only their number says something. */
  parts: readonly IdentityPart[];
};

export type IdentityPart = {
  name: string;
  collation: string;
  /** As an expression on a row `c` of SQLite's check and the row `r` of the table. */
  value: string;
};

/** The columns of the temporary table that identify a row. */
export const partNames = ({length}: {length: number}) => Array.from({length}, (_, at) => `k${at}`);

/**
 * Notes the rows of `child` whose foreign keys lead nowhere: the `parent`, the number of the foreign key as `key`, and
 * what identifies the row.
 * @param options.stays nothing writes to the table, so that rowids identify its rows
 * @returns undefined if SQLite cannot check the table: a foreign key leads to columns that are not unique
 */
export function noteDangling(
  connection: Connection,
  {child, into, stays}: {child: string; into: string; stays: boolean},
): Dangling | undefined {
  const found = findTable(connection, child);
  const table = found.kind === 'table' ? found.table : undefined;
  const parts = identityOf(connection, child, table, stays);
  const joined = table?.key.kind === 'columns' ? table.key.alias : undefined;
  const isNamed = table === undefined || table.key.kind === 'rowid' || joined !== undefined;
  const noted = isNamed ? parts : [];
  create(connection, into, noted);
  try {
    connection.run(
      `INSERT INTO ${into} SELECT ${['c.parent', 'c.fkid', ...noted.map(({value}) => value)].join(', ')}
       FROM pragma_foreign_key_check(?, 'main') AS c
       ${joined === undefined ? '' : `JOIN main.${quoteName(child)} AS r ON r.${joined} = c."rowid"`}`,
      child,
    );
  } catch (error) {
    if (!/foreign key mismatch/.test(String(error))) throw error;
    return undefined;
  }
  if (isNamed) return {noted: into, parts};
  const named = `${into}_named`;
  create(connection, named, parts);
  return noteByKeys(connection, {child, counted: into, into: named, parts})
    ? {noted: named, parts}
    : {noted: into, parts: []};
}

function create(connection: Connection, into: string, parts: readonly IdentityPart[]): void {
  connection.exec(`DROP TABLE IF EXISTS ${into}`);
  // Columns without a type: SQLite converts nothing.
  connection.exec(`CREATE TABLE ${into} (${['parent', 'key', ...partNames(parts)].join(', ')})`);
}

/** @param table undefined: bkp writes to no table that it cannot read */
function identityOf(
  connection: Connection,
  child: string,
  table: Table | undefined,
  stays: boolean,
): readonly IdentityPart[] {
  if (table?.key.kind === 'columns') {
    return table.key.parts.map(({column, collation}) => ({name: column, collation, value: `r.${quoteName(column)}`}));
  }
  const hasRowid = connection.value(`SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'`, child) === 0n;
  const column = table?.key.column;
  if (!hasRowid || (column === undefined && !stays)) return [];
  return [{name: column ?? 'rowid', collation: 'BINARY', value: 'c."rowid"'}];
}

/**
 * SQLite's check names no row of a table WITHOUT ROWID. So this looks for them, with the affinity and collation of the
 * parent, as SQLite does.
 * @returns whether it found as many as SQLite
 */
function noteByKeys(
  connection: Connection,
  {child, counted, into, parts}: {child: string; counted: string; into: string; parts: readonly IdentityPart[]},
): boolean {
  const existing = new Set(tableNames(connection).map(foldName));
  const values = parts.map(({value}) => value).join(', ');
  return connection.all(`SELECT key, count(*) AS rows FROM ${counted} GROUP BY key`).every(({key, rows}) => {
    const columns = connection.all(
      `SELECT "table" AS parent, "from", "to" FROM pragma_foreign_key_list(?, 'main') WHERE id = ? ORDER BY seq`,
      child,
      key!,
    );
    const parent = String(columns[0]!.parent);
    const from = columns.map((column) => `r.${quoteName(String(column.from))}`);
    const to = parentColumns(connection, parent, columns);
    // `+` takes away the affinity of the child's column.
    const same = from.map((column, at) => `p.${to[at]} = +${column}`).join(' AND ');
    const isMissing = existing.has(foldName(parent))
      ? `NOT EXISTS (SELECT 1 FROM main.${quoteName(parent)} AS p WHERE ${same})`
      : '1';
    const found = connection.run(
      `INSERT INTO ${into} SELECT ?, ?, ${values} FROM main.${quoteName(child)} AS r
       WHERE ${from.map((column) => `${column} IS NOT NULL`).join(' AND ')} AND ${isMissing}`,
      parent,
      key!,
    );
    return BigInt(found) === rows;
  });
}

/** A foreign key that names no columns leads to the parent's primary key. */
function parentColumns(connection: Connection, parent: string, columns: readonly Row[]): readonly string[] {
  const isNamed = columns.every(({to}) => to !== null);
  const key = () =>
    connection.all(`SELECT name AS "to" FROM pragma_table_xinfo(?, 'main') WHERE pk > 0 ORDER BY pk`, parent);
  return (isNamed ? columns : key()).map(({to}) => quoteName(String(to)));
}
