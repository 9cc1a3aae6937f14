import {BkpError} from '../../../errors/index.ts';
import {allColumnsOf, columnList, columnsOf, columnsOfDomains, kindsOf} from '../catalog/columns.ts';
import {onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified, quoteBody, quoteIdent} from '../connection/quote.ts';
import {ofServer} from './later.ts';
import type {StoredTable} from './stored.ts';

// Rows that waited in a table of their own, as values of the columns of their table.

/** A column of a published table, and the expression of its value in the table where the rows waited. */
export type TypedColumn = {name: string; value: string};

/** Where rows waited. `columns`: those of the published table of which they have values. */
type From = {name: string; columns: readonly TypedColumn[]};

/**
 * The columns of a published table of which rows that waited have values, also those that the table computes.
 * @param rows.others columns that are text there, or have no domain
 */
export async function typedColumns(
  connection: Connection,
  oid: number,
  rows: {name: string; others: ReadonlySet<string>},
): Promise<readonly TypedColumn[]> {
  const kept = await namesIn(connection, rows.name);
  const kinds = await kindsOf(connection, oid);
  const domains = await columnsOfDomains(connection, oid);
  const columns = (await allColumnsOf(connection, oid)).columns.filter(({name}) => kept.has(name));
  return columns.map(({name, type}) => {
    const value = quoteIdent(name);
    if (!rows.others.has(name)) return {name, value};
    // The cast of a text to regclass takes names only, and not `-` or the number of a table that is gone.
    const isName = kinds.get(name) === 'regclass';
    const typed = `${isName ? `pg_catalog.regclassin(pg_catalog.textout(${value}))` : value}::${type}`;
    // A cast of NULL would meet the constraints of the domain, which an outer join can pass without meeting them.
    return {name, value: domains.has(name) ? `(SELECT ${typed} WHERE ${value} IS NOT NULL)` : typed};
  });
}

/** The columns of a table. @param table qualified and quoted */
export async function namesIn(connection: Connection, table: string): Promise<ReadonlySet<string>> {
  const sql =
    'SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped';
  return new Set((await connection.rows(sql, [table])).map(([name]) => name!));
}

const valuesOf = (columns: readonly TypedColumn[]) => columns.map(({value}) => value).join(', ');

/** An aggregate that is the same for the same rows in any order. @param values expressions of one row */
export const sumOf = (values: string) =>
  `pg_catalog.sum(pg_catalog.hashtextextended(ROW(${values})::text COLLATE "C", 0)::numeric)`;

/** @param from qualified and quoted, as `into` */
export function insertion(into: string, columns: readonly TypedColumn[], from: string): string {
  const list = columns.length === 0 ? '' : `(${columnList(columns)})`;
  return `INSERT INTO ${into} ${list} OVERRIDING SYSTEM VALUE SELECT ${valuesOf(columns)} FROM ${from}`;
}

/** One row after the other; those that the table refuses come into another table, which is created. */
export async function insertEach(
  connection: Connection,
  {into, plain, from, rest}: {into: string; plain: readonly TypedColumn[]; from: From; rest: string},
): Promise<void> {
  const named = from.columns.map(({name, value}) => `${value} AS ${quoteIdent(name)}`).join(', ');
  const one = 'WHERE ctid = one';
  await connection.run(`CREATE TABLE ${rest} AS SELECT ${named} FROM ${from.name} WHERE false`);
  // Errors that are about the server, and not about a row, end it.
  const body = `DECLARE one tid; BEGIN
    FOR one IN SELECT ctid FROM ${from.name} LOOP
      BEGIN ${insertion(into, plain, from.name)} ${one}; SET CONSTRAINTS ALL IMMEDIATE;
      EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE ~ '${ofServer.source}' THEN RAISE; END IF;
        INSERT INTO ${rest} SELECT ${valuesOf(from.columns)} FROM ${from.name} ${one};
      END;
    END LOOP;
  END`;
  await connection.run(`DO ${quoteBody(body)}`);
}

type Compared = {
  target: StoredTable;
  from: From;
  /** Of the columns, those that the table has computed. */
  computed: readonly TypedColumn[];
  /** Has the rows that the table has refused. */
  rest: string | undefined;
};

/**
 * A function may have been replaced since a column was computed, or its result may depend on settings of the session,
 * whatever it is declared as.
 * @throws BkpError of SQLSTATE 22000 with the columns that have other values than the backup: {@link otherValuesIn}
 */
export async function requireSameValues(
  connection: Connection,
  {target, from, computed, rest}: Compared,
): Promise<void> {
  if (computed.length === 0) return;
  const name = qualified(target.schema, target.table);
  const oid = Number(await connection.value('SELECT $1::text::regclass::oid', [name]));
  const names = new Set(computed.map((column) => column.name));
  const plain = from.columns.filter((column) => !names.has(column.name));
  const key = new Set((await columnsOf(connection, oid)).key.map((column) => column.name));
  const keyed = from.columns.filter((column) => key.has(column.name));
  // What a value belongs to.
  const row = keyed.length > 0 && keyed.every((column) => !names.has(column.name)) ? keyed : plain;
  const wanted = computed.map((column) => sumOf(valuesOf([...row, column])));
  const found = computed.map((column) => sumOf(columnList([...row, column])));
  const list = columnList(from.columns);
  const published = `SELECT ${list} FROM ${onlyOf(target.kind)}${name}`;
  const all = rest === undefined ? published : `${published} UNION ALL SELECT ${list} FROM ${rest}`;
  const [before] = await connection.rows(`SELECT ${wanted.join(', ')} FROM ${from.name}`);
  const [now] = await connection.rows(`SELECT ${found.join(', ')} FROM (${all}) published`);
  const others = computed.filter((_, at) => before![at] !== now![at]).map((column) => column.name);
  if (others.length === 0) return;
  throw new BkpError('PRECONDITION', `${others.join(', ')} is computed otherwise than it was`, {
    next: 'restore into a database that has the functions as they were when the rows were written',
    context: {table: target.name, sqlState: '22000', otherValues: others.join('\0')},
  });
}

/** The columns of which {@link requireSameValues} found other values. */
export function otherValuesIn({context: {otherValues}}: BkpError): readonly string[] {
  return typeof otherValues === 'string' ? otherValues.split('\0') : [];
}
