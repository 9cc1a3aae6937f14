import type {Connection, Row} from '../engine/connection.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {schemaRows} from '../engine/schema-rows.ts';
import {isText} from '../engine/schema-table.ts';
import {tryInScratch} from '../engine/scratch.ts';
import {callsFunction, defaultExpression, indexTerms} from '../engine/sql-text.ts';
import {virtualTables} from '../schema/objects.ts';
import {oddStatement} from '../schema/schema.ts';
import type {Column, Key, NamedSql, Table, UniqueIndex} from '../schema/table.ts';
import {trackedBy} from '../triggers/own-objects.ts';
import {tryTable} from './trial.ts';

/** What a name stands for in the main database. */
export type Found =
  | {kind: 'absent'; name: string}
  | {kind: 'unsupported'; name: string; reason: string}
  | {kind: 'table'; table: Table};

const wholeDatabase = 'only a copy of the whole file holds it, which BACKUP DATABASE makes';

/** Every table with rows, sorted by name; includes shadow tables, excludes tables of SQLite and of bkp. */
export function tableNames(connection: Connection): readonly string[] {
  return namesOf(connection, `'table', 'shadow'`);
}

/** Every table as a user knows them: includes virtual tables, excludes their shadow tables. */
export function knownTableNames(connection: Connection): readonly string[] {
  return namesOf(connection, `'table', 'virtual'`);
}

function namesOf(connection: Connection, types: string): readonly string[] {
  return connection
    .all(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN (${types})`)
    .map((row) => String(row.name))
    .filter((name) => !isReserved(name))
    .sort((a, b) => (a < b ? -1 : 1));
}

/** Resolves a name as SQLite does: the case of ASCII letters does not matter, `main.` may precede it. */
export function findTable(connection: Connection, asked: string): Found {
  const row = lookUp(connection, asked) ?? (/^main\./i.test(asked) ? lookUp(connection, asked.slice(5)) : undefined);
  if (row === undefined) return {kind: 'absent', name: asked};
  const name = String(row.name);
  const unsupported = (reason: string): Found => ({kind: 'unsupported', name, reason});
  if (foldName(name).startsWith('sqlite_'))
    return unsupported(`${name} belongs to SQLite itself; its content is restored with the tables`);
  if (isReserved(name)) return unsupported(`${name} is a table of bkp's own change tracking; name a table of yours`);
  if (row.type === 'view') return unsupported(`${name} is a view; only a collection of the whole DATABASE holds views`);
  if (row.type === 'virtual')
    return unsupported(`${name} is a virtual table; only a collection of the whole DATABASE holds those`);
  const table = readTable(connection, name, row);
  return typeof table === 'string' ? unsupported(table) : {kind: 'table', table};
}

/** A table that was found or created immediately before. */
export function requireTable(connection: Connection, name: string): Table {
  const found = findTable(connection, name);
  if (found.kind !== 'table') throw new Error(`table ${name} was created and does not exist`);
  return found.table;
}

function isReserved(name: string): boolean {
  const folded = foldName(name);
  return folded.startsWith('sqlite_') || folded.startsWith(ownPrefix);
}

function lookUp(connection: Connection, name: string): Row | undefined {
  return connection.get(`SELECT name, type, wr, strict FROM pragma_table_list(?) WHERE schema = 'main'`, name);
}

/** @returns why the table cannot be backed up as rows, in words, when it cannot */
function readTable(connection: Connection, name: string, row: Row): Table | string {
  const sql = String(schemaRows(connection).find('table', name)?.sql);
  const indexes = schemaSql(connection, 'index', name);
  const info = connection.all(
    `SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?, 'main')`,
    name,
  );
  const scratch = tryInScratch(
    name,
    sql,
    indexes,
    info.map((column) => String(column.name)),
  );
  if (scratch.refusal !== undefined) {
    return `SQLite cannot recreate ${name} outside its application (${scratch.refusal}); ${wholeDatabase}`;
  }
  const columns: Column[] = info.map((column) => ({
    name: String(column.name),
    type: String(column.type),
    generated: column.hidden === 2n || column.hidden === 3n,
    recorded: column.hidden !== 2n,
    collation: scratch.collations.get(String(column.name)) ?? 'BINARY',
    insteadOfNull:
      column.notnull !== 0n && typeof column.dflt_value === 'string' ? defaultExpression(column.dflt_value) : undefined,
    computedDefault: typeof column.dflt_value === 'string' && callsFunction(column.dflt_value),
  }));
  const withoutRowid = row.wr === 1n;
  const shadowOf = virtualTableOf(connection, name, row.type === 'shadow');
  const key = readKey(connection, name, withoutRowid, info, columns);
  if (key === undefined)
    return `the columns rowid, _rowid_ and oid of ${name} hide its rowid, which identifies its rows; ${wholeDatabase}`;
  const table: Table = {
    name,
    sql,
    withoutRowid,
    strict: row.strict === 1n,
    columns,
    key,
    uniques: readUniques(connection, name),
    indexes,
    triggers: schemaSql(connection, 'trigger', name).filter((trigger) => trackedBy(connection, trigger) === undefined),
    shadowOf,
    autoincrement: /\bautoincrement\b/i.test(sql) && hasSequence(connection),
  };
  const odd = oddStatement(table);
  if (odd !== undefined)
    return (
      `a statement of ${name}, the result of an edit of the schema, would be refused by a restore ` +
      `(${odd}); ${wholeDatabase}`
    );
  if (!isText(connection, [sql, ...table.indexes.map((one) => one.sql), ...table.triggers.map((one) => one.sql)]))
    return `the schema of ${name} has bytes that are not text; ${wholeDatabase}`;
  const {copying, tracking} = tryTable(table);
  if (copying !== undefined) return `SQLite cannot copy ${name} by its rows (${copying}); ${wholeDatabase}`;
  return {...table, untrackable: tracking};
}

/**
 * A loaded module reports its shadow tables. For a module that is not loaded, every table whose name begins
 * with the virtual table's name and `_` may be one.
 */
function virtualTableOf(connection: Connection, name: string, shadow: boolean): string | undefined {
  const found = virtualTables(connection, name);
  return (shadow ? found : found.filter(({known}) => !known)).at(-1)?.name;
}

function schemaSql(connection: Connection, type: 'index' | 'trigger', table: string): NamedSql[] {
  return schemaRows(connection)
    .of(table)
    .flatMap((row) => (row.type === type && row.sql !== null ? [{name: row.name, sql: row.sql}] : []));
}

function hasSequence(connection: Connection): boolean {
  return schemaRows(connection).find('table', 'sqlite_sequence') !== undefined;
}

function readKey(
  connection: Connection,
  name: string,
  withoutRowid: boolean,
  info: readonly Row[],
  columns: readonly Column[],
): Key | undefined {
  const index = connection.value(`SELECT name FROM pragma_index_list(?, 'main') WHERE origin = 'pk'`, name);
  const declared = info.find((column) => column.pk !== 0n);
  if (index === undefined && declared !== undefined) {
    // A primary key without an index is the rowid itself. (INTEGER PRIMARY KEY DESC has an index, for
    // historical reasons.)
    const column = String(declared.name);
    return {kind: 'rowid', alias: quoteName(column), column};
  }
  const taken = new Set(columns.map((column) => foldName(column.name)));
  const alias = withoutRowid ? undefined : ['rowid', '_rowid_', 'oid'].find((word) => !taken.has(word));
  if (!withoutRowid && alias === undefined) return undefined;
  if (index === undefined) return {kind: 'rowid', alias: alias!};
  const notNull = new Set(info.filter((column) => column.notnull !== 0n).map((column) => String(column.name)));
  const parts = connection
    .all(`SELECT name, coll FROM pragma_index_xinfo(?, 'main') WHERE key = 1 ORDER BY seqno`, index)
    .map((part) => {
      const column = String(part.name);
      const collation = String(part.coll);
      const own = columns.find((candidate) => candidate.name === column)!.collation;
      const explicit = foldName(own) !== foldName(collation);
      return {column, collation, explicit, notNull: withoutRowid || notNull.has(column)};
    });
  return {kind: 'columns', parts, alias};
}

function readUniques(connection: Connection, table: string): UniqueIndex[] {
  return connection
    .all(
      `SELECT name, partial FROM pragma_index_list(?, 'main') WHERE "unique" = 1 AND origin <> 'pk' ORDER BY name`,
      table,
    )
    .map((index) => {
      const name = String(index.name);
      const sql = schemaRows(connection).find('index', name)?.sql;
      const written = typeof sql === 'string' ? indexTerms(sql) : undefined;
      const terms = connection
        .all(`SELECT name, coll, cid FROM pragma_index_xinfo(?, 'main') WHERE key = 1 ORDER BY seqno`, name)
        .map((part, position) => {
          const collation = String(part.coll);
          // An expression has no column; its text is only in the statement.
          if (part.cid === -2n) return {expression: written!.terms[position]!, collation};
          // -1 is the rowid.
          const column = part.cid === -1n ? 'rowid' : String(part.name);
          return {expression: quoteName(column), collation, column};
        });
      return {name, terms, where: written?.where};
    });
}
