import type {Connection, Row} from './connection.ts';
import {foldName} from './quote.ts';

/** A row of `main.sqlite_schema`. */
export type SchemaRow = {
  rowid: bigint;
  type: string;
  name: string;
  /** The table that it belongs to. */
  table: string;
  root: number;
  /** Null for the index of a constraint. */
  sql: string | null;
};

/**
 * All rows of `main.sqlite_schema`, by name. SQLite has no index on that table: a query for one name reads all of it,
 * and a query for each table of a database takes time that grows with the square of their number.
 */
export class SchemaRows {
  readonly all: readonly SchemaRow[];
  /** Virtual tables, in the order of the schema. */
  readonly virtual: readonly SchemaRow[];
  readonly #named = new Map<string, SchemaRow[]>();
  readonly #of = new Map<string, SchemaRow[]>();

  constructor(connection: Connection) {
    this.all = connection
      .all('SELECT rowid, type, name, tbl_name, rootpage, sql FROM main.sqlite_schema ORDER BY rowid')
      .map(rowOf);
    this.virtual = this.all.filter(({type, root}) => type === 'table' && root === 0);
    for (const row of this.all) {
      add(this.#named, foldName(row.name), row);
      add(this.#of, foldName(row.table), row);
    }
  }

  /** @param name as it is spelled in the schema */
  find(type: string, name: string): SchemaRow | undefined {
    return this.named(type, name).find((row) => row.name === name);
  }

  /** As SQLite finds a name: the case of ASCII letters does not matter. */
  named(type: string, name: string): readonly SchemaRow[] {
    return (this.#named.get(foldName(name)) ?? []).filter((row) => row.type === type);
  }

  /** What belongs to a table, in the order of the schema. */
  of(table: string): readonly SchemaRow[] {
    return this.#of.get(foldName(table)) ?? [];
  }
}

const latest = new WeakMap<Connection, {state: string; rows: SchemaRows}>();

/** Read again only after the schema may have changed. */
export function schemaRows(connection: Connection): SchemaRows {
  const state = stateOf(connection);
  const known = latest.get(connection);
  if (known?.state === state) return known.rows;
  const rows = new SchemaRows(connection);
  latest.set(connection, {state, rows});
  return rows;
}

/** Changes with every change of the schema: by a statement of any connection, or by other means of this one. */
function stateOf(connection: Connection): string {
  return `${connection.value('PRAGMA main.schema_version')} ${connection.schemaResets}`;
}

function rowOf(row: Row): SchemaRow {
  return {
    rowid: row.rowid as bigint,
    type: String(row.type),
    name: String(row.name),
    table: String(row.tbl_name),
    root: Number(row.rootpage),
    sql: row.sql === null ? null : String(row.sql),
  };
}

function add(map: Map<string, SchemaRow[]>, key: string, row: SchemaRow): void {
  const rows = map.get(key);
  if (rows === undefined) map.set(key, [row]);
  else rows.push(row);
}
