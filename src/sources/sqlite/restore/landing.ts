import type {Connection} from '../engine/connection.ts';
import {requireOneIndex} from '../engine/from-manifest.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {editSchema, exchangeRoots, isConstraint} from '../engine/schema-table.ts';
import {indexTerms, unquoted} from '../engine/sql-text.ts';
import {keyColumns} from '../rows/boundary.ts';
import {affinity, type Column, loadedNames, recordedColumns, type Table} from '../schema/table.ts';

/**
 * The table that the rows of a restored table are loaded into. A database can hold rows that its schema would
 * not accept today: an edit of the schema may have made a column NOT NULL, STRICT or INTEGER, a CHECK or UNIQUE
 * may have been added later, another SQLite may have computed a stored generated column. Inserting such a row
 * would fail or change it.
 *
 * So rows are loaded into a table of the same record format whose columns have no type and no constraint. At
 * the end the real table, which is still empty, takes over its tree, and its indexes are built from the rows.
 */
export class Landing {
  readonly #connection: Connection;
  readonly #table: Table;
  readonly #name: string;
  readonly #keyIndex: string;
  readonly #keys: string;
  #indexed = false;

  /** @param id distinguishes the landings of one staging */
  constructor(connection: Connection, table: Table, id: number) {
    this.#connection = connection;
    this.#table = table;
    this.#name = `${ownPrefix}landing_${id}`;
    this.#keyIndex = `${ownPrefix}landing_key_${id}`;
    this.#keys = `${ownPrefix}keys_${id}`;
    connection.exec(landingTable(connection, table, this.#name));
  }

  /** Rows of a table with the same schema in another file, as SQL names it. @returns their number */
  loadFrom(table: string): number {
    const {columns, rowid} = loadedNames(this.#table);
    const names = [...rowid, ...columns].join(', ');
    return this.#connection.run(`INSERT INTO main.${this.#name} (${names}) SELECT ${names} FROM ${table}`);
  }

  /** Rows of the attached `seg`. @returns their number */
  load(): number {
    if (this.#hasAllColumns()) return this.loadFrom('seg.rows');
    // An older bkp did not copy stored generated columns; the real table, still empty, computes them.
    const table = quoteName(this.#table.name);
    const given = loadedNames(this.#table, {generated: false});
    const list = [...given.rowid, ...given.columns].join(', ');
    this.#connection.run(`INSERT INTO main.${table} (${list}) SELECT ${list} FROM seg.rows`);
    const rows = this.loadFrom(`main.${table}`);
    this.#connection.run(`DELETE FROM main.${table}`);
    return rows;
  }

  #hasAllColumns(): boolean {
    const generated = recordedColumns(this.#table).filter((column) => column.generated);
    if (generated.length === 0) return true;
    const there = this.#connection.all(`SELECT name FROM pragma_table_info('rows', 'seg')`);
    const names = new Set(there.map((row) => foldName(String(row.name))));
    return generated.every(({name}) => names.has(foldName(name)));
  }

  /** Deletes rows with one of the keys in the attached `seg`. @returns the number of keys */
  removeKeys(): number {
    const {key} = this.#table;
    const connection = this.#connection;
    const count = connection.number('SELECT count(*) FROM seg.keys');
    const parts = key.kind === 'rowid' ? [] : key.parts;
    if (key.kind === 'rowid') this.#remove(`t.${key.alias} = k.k0`, [`t.${key.alias}`], 'seg.keys');
    else {
      const columns = parts.map((part) => `t.${quoteName(part.column)} COLLATE ${quoteName(part.collation)}`);
      const found = key.alias === undefined ? columns : [`t.${key.alias}`];
      const matches = columns.map((column, i) => `${column} IS k.k${i}`).join(' AND ');
      this.#indexKey();
      this.#remove(matches, found, 'seg.keys');
      if (this.#convertKeys(count)) this.#remove(matches, found, `temp.${this.#keys}`);
    }
    return count;
  }

  #remove(matches: string, found: readonly string[], keys: string): void {
    const name = `main.${this.#name}`;
    const row = found.length === 1 ? found[0]! : `(${found.join(', ')})`;
    this.#connection.run(
      `DELETE FROM ${name} AS t WHERE ${row} IN
       (SELECT ${found.join(', ')} FROM ${keys} AS k CROSS JOIN ${name} AS t ON ${matches})`,
    );
  }

  /**
   * A key may have been logged in another type than the row has: a trigger's OLD can be converted already. In a
   * comparison with the real column SQLite would convert it back.
   * @returns whether the conversion changes any key
   */
  #convertKeys(count: number): boolean {
    const {key} = this.#table;
    if (key.kind === 'rowid') return false;
    const columns = keyColumns(key);
    const typed = key.parts.map((part, i) => {
      const column = this.#table.columns.find(({name}) => name === part.column)!;
      return `${columns[i]} ${affinity(this.#table, column)}`;
    });
    if (typed.every((text) => text.endsWith(' BLOB'))) return false;
    const keys = `temp.${this.#keys}`;
    const connection = this.#connection;
    connection.exec(`DROP TABLE IF EXISTS ${keys}; CREATE TABLE ${keys} (${typed.join(', ')})`);
    connection.run(
      `INSERT INTO ${keys} (rowid, ${columns.join(', ')}) SELECT rowid, ${columns.join(', ')} FROM seg.keys`,
    );
    const same = columns.map((column) => `typeof(c.${column}) = typeof(k.${column})`).join(' AND ');
    return (
      connection.number(`SELECT count(*) FROM ${keys} AS c JOIN seg.keys AS k ON k.rowid = c.rowid WHERE ${same}`) <
      count
    );
  }

  #indexKey(): void {
    const {key} = this.#table;
    if (this.#indexed || key.kind === 'rowid' || key.alias === undefined) return;
    const parts = key.parts.map((part) => `${quoteName(part.column)} COLLATE ${quoteName(part.collation)}`);
    this.#connection.exec(`CREATE INDEX main.${this.#keyIndex} ON ${this.#name} (${parts.join(', ')})`);
    this.#indexed = true;
  }

  /** Moves the rows into the real table, whose constraints still have empty indexes then. */
  land(): void {
    this.#connection.exec(`DROP INDEX IF EXISTS main.${this.#keyIndex}`);
    exchangeRoots(this.#connection, this.#table.name, this.#name);
    this.#connection.exec(`DROP TABLE main.${this.#name}; DROP TABLE IF EXISTS temp.${this.#keys}`);
  }
}

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

/** A record has the recorded columns in order; WITHOUT ROWID, the key's columns come first and order the rows. */
function landingTable(connection: Connection, table: Table, name: string): string {
  const {key} = table;
  const rowidColumn = key.kind === 'rowid' ? key.column : undefined;
  const columns = recordedColumns(table).map((column: Column) =>
    column.name === rowidColumn ? `${quoteName(column.name)} INTEGER PRIMARY KEY` : quoteName(column.name),
  );
  if (!table.withoutRowid) return `CREATE TABLE main.${name} (${columns.join(', ')})`;
  const parts = connection
    .all(
      `SELECT x.name, x.coll, x."desc" FROM pragma_index_list(?, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS x
       WHERE l.origin = 'pk' AND x.key = 1 ORDER BY x.seqno`,
      table.name,
    )
    .map(
      (part) =>
        `${quoteName(String(part.name))} COLLATE ${quoteName(String(part.coll))}${part.desc === 1n ? ' DESC' : ''}`,
    );
  return `CREATE TABLE main.${name} (${[...columns, `PRIMARY KEY (${parts.join(', ')})`].join(', ')}) WITHOUT ROWID`;
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
  const parts = connection
    .all(`SELECT name, coll, "desc" FROM pragma_index_xinfo(?, 'main') WHERE key = 1 ORDER BY seqno`, index)
    .map(
      (part) =>
        `${quoteName(String(part.name))} COLLATE ${quoteName(String(part.coll))}${part.desc === 1n ? ' DESC' : ''}`,
    );
  connection.exec(`CREATE INDEX main.${twin} ON ${quoteName(table.name)} (${parts.join(', ')})`);
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

/**
 * Bytes that an index computes from the table's rows; 0 for an index of plain columns.
 * @throws BkpError `OBJECT_DAMAGED` when the statement does something else; what SQLite reports when it cannot
 *   compute it
 */
export function computedBytes(connection: Connection, table: Table, sql: string): number {
  const {terms, where} = indexTerms(sql);
  const recorded = new Set(recordedColumns(table).map(({name}) => foldName(name)));
  const computed = terms.filter((term) => !recorded.has(foldName(unquoted(term))));
  if (computed.length === 0) return 0;
  // SQLite accepts no subquery in an index: an expression that compiles there contains none here either.
  requireOneIndex(connection, table.name, sql);
  const lengths = computed.map((term) => `ifnull(length(CAST((${term}) AS BLOB)), 0)`);
  const condition = where === undefined ? '' : ` WHERE ${where}`;
  return connection.number(`SELECT total(${lengths.join(' + ')}) FROM main.${quoteName(table.name)}${condition}`);
}
