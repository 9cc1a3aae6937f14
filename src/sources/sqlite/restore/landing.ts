import type {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {exchangeRoots} from '../engine/schema-table.ts';
import {defaultExpression} from '../engine/sql-text.ts';
import {keyColumns} from '../rows/boundary.ts';
import {affinity, type Column, loadedNames, recordedColumns, type Table} from '../schema/table.ts';
import {indexedColumns} from './build-index.ts';

/** The database that the landing is in; the staging file closes its connection and opens another. */
type Place = {readonly connection: Connection};

/**
 * The table that the rows of a restored table are loaded into. A database can hold rows that its schema would
 * not accept today: an edit of the schema may have made a column NOT NULL, STRICT or INTEGER, a CHECK or UNIQUE
 * may have been added later, another SQLite may have computed a stored generated column. Inserting such a row
 * would fail or change it.
 *
 * So rows are loaded into a table of the same record format whose columns have no type and no constraint. At
 * the end the real table, which is still empty, takes over its tree, and its indexes are built from the rows.
 *
 * If the real table's trees were laid out from records, the landing takes them over first and gives them back at the
 * end. SQLite maintains the indexes that the landing has twins of while rows are deleted and inserted.
 */
export class Landing {
  readonly #place: Place;
  readonly #table: Table;
  /** Of the table that the rows are loaded into. */
  readonly name: string;
  readonly #keyIndex: string;
  readonly #keys: string;
  readonly #id: number;
  /** Of the real table's indexes, by their names. */
  readonly #twins = new Map<string, string>();
  #indexed = false;

  /** @param id distinguishes the landings of one staging */
  constructor(place: Place, table: Table, id: number) {
    this.#place = place;
    this.#table = table;
    this.#id = id;
    this.name = `${ownPrefix}landing_${id}`;
    this.#keyIndex = `${ownPrefix}landing_key_${id}`;
    this.#keys = `${ownPrefix}keys_${id}`;
    place.connection.exec(landingTable(place.connection, table, this.name));
  }

  get #connection(): Connection {
    return this.#place.connection;
  }

  /**
   * Creates a twin of an index, whose entries have the same form: the same columns, collations and directions.
   * @returns false if there can be none
   */
  follow(index: string): boolean {
    const connection = this.#connection;
    if (!this.#findsRows()) return false;
    const twin = `${ownPrefix}twin_${this.#id}_${this.#twins.size}`;
    connection.exec(`CREATE INDEX main.${twin} ON ${this.name} (${indexedColumns(connection, index)})`);
    if (entryForm(connection, twin) !== entryForm(connection, index)) {
      connection.exec(`DROP INDEX main.${twin}`);
      return false;
    }
    this.#twins.set(index, twin);
    return true;
  }

  /**
   * Whether rows with a key are found by their rowid or by {@link Landing.#keyIndex}. Otherwise SQLite might search for
   * them in a twin, whose entries nothing has compared with the rows.
   */
  #findsRows(): boolean {
    const {key, withoutRowid} = this.#table;
    return key.kind === 'rowid' || (!withoutRowid && key.alias !== undefined);
  }

  /** Takes over the trees of the real table and of the followed indexes. */
  adopt(): void {
    this.#exchange();
  }

  #exchange(): void {
    exchangeRoots(this.#connection, this.#table.name, this.name);
    for (const [index, twin] of this.#twins) exchangeRoots(this.#connection, index, twin);
  }

  /** Rows of a table with the same schema in another file, as SQL names it. @returns their number */
  loadFrom(table: string): number {
    const {columns, rowid} = loadedNames(this.#table);
    const names = [...rowid, ...columns].join(', ');
    return this.#connection.run(`INSERT INTO main.${this.name} (${names}) SELECT ${names} FROM ${table}`);
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
    // Else SQLite refuses to delete a row that an index lacks. The check at the end finds such an index.
    if (this.#twins.size > 0) connection.exec('PRAGMA writable_schema = ON');
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
    const name = `main.${this.name}`;
    const row = found.length === 1 ? found[0]! : `(${found.join(', ')})`;
    const by = this.#indexed ? ` INDEXED BY ${this.#keyIndex}` : '';
    this.#connection.run(
      `DELETE FROM ${name} AS t WHERE ${row} IN
       (SELECT ${found.join(', ')} FROM ${keys} AS k CROSS JOIN ${name} AS t${by} ON ${matches})`,
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
    this.#connection.exec(`CREATE INDEX IF NOT EXISTS main.${this.#keyIndex} ON ${this.name} (${parts.join(', ')})`);
    this.#indexed = true;
  }

  /** Moves the rows into the real table, whose constraints still have empty indexes then. */
  land(): void {
    this.#connection.exec(`DROP INDEX IF EXISTS main.${this.#keyIndex}`);
    this.#exchange();
    this.#connection.exec(`DROP TABLE main.${this.name}; DROP TABLE IF EXISTS temp.${this.#keys}`);
  }
}

/** Columns, collations and directions of an index, those included that SQLite appends to find the row. */
function entryForm(connection: Connection, index: string): string {
  const parts = connection.all(
    `SELECT name, cid = -1 AS "rowid", coll, "desc", key FROM pragma_index_xinfo(?, 'main') ORDER BY seqno`,
    index,
  );
  return parts.map((part) => Object.values(part).join()).join('\n');
}

/** A record has the recorded columns in order; WITHOUT ROWID, the key's columns come first and order the rows. */
function landingTable(connection: Connection, table: Table, name: string): string {
  const {key} = table;
  const rowidColumn = key.kind === 'rowid' ? key.column : undefined;
  const columns = recordedColumns(table).map((column: Column) =>
    column.name === rowidColumn
      ? `${quoteName(column.name)} INTEGER PRIMARY KEY`
      : `${quoteName(column.name)}${defaultClause(connection, table, column)}`,
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
 * A row that is older than an added column has a record without it, and the column's default as its value. The landing
 * must see the same value, which may be part of an index.
 */
function defaultClause(connection: Connection, table: Table, column: Column): string {
  const written = connection.value(
    `SELECT dflt_value FROM pragma_table_xinfo(?, 'main') WHERE name = ?`,
    table.name,
    column.name,
  );
  if (typeof written !== 'string') return '';
  const name = `temp.${ownPrefix}added`;
  connection.exec(`CREATE TABLE ${name} (a); INSERT INTO ${name} VALUES (NULL)`);
  try {
    const type = affinity(table, column);
    connection.exec(`ALTER TABLE ${name} ADD COLUMN b ${type} DEFAULT (${defaultExpression(written)}\n)`);
    return ` DEFAULT ${connection.value(`SELECT quote(b) FROM ${name}`)}`;
  } catch (error) {
    // A column with such a default can only be added to an empty table.
    if (resultCode(error) === ResultCode.error) return '';
    throw error;
  } finally {
    connection.exec(`DROP TABLE ${name}`);
  }
}
