import type {DatabaseFacts, TableName, TableSchema} from '../../source.ts';
import {qualified, quoteIdent, quoteText} from '../connection/quote.ts';
import {referredBy} from '../restore/build.ts';
import {
  creationOf,
  inOrder,
  isBeforeTables,
  type SharedObject,
  type StoredTable,
  sharedObjects,
  storedTables,
} from '../restore/stored.ts';

/** The rows of the tables; `lines` without their ends. */
type Rows = {
  columns: (table: TableName) => readonly string[];
  lines: (table: TableName) => Iterable<Uint8Array>;
};

const lineEnd = Buffer.from('\n');

/** Tables with their rows as pg_dump writes them, for psql. */
export function* scriptOf(
  {schemas, database}: {schemas: readonly TableSchema[]; database: DatabaseFacts},
  rows: Rows,
): Generator<string | Uint8Array> {
  const tables = storedTables(schemas);
  const shared = sharedObjects(database);
  const of = (statementsOf: (table: StoredTable) => readonly string[]) =>
    inOrder(tables, statementsOf).map(({sql}) => `${sql}\n\n`);
  yield '-- psql -X -v ON_ERROR_STOP=1 -d DATABASE -f FILE\n\n';
  yield `SET client_encoding = ${quoteText(database.encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8')};\n`;
  yield [
    'SET standard_conforming_strings = on;',
    'SET check_function_bodies = off;',
    'SET row_security = off;',
    "SET DateStyle = 'ISO';",
    "SET IntervalStyle = 'postgres';",
    "SET TimeZone = 'UTC';",
    "SET lc_monetary = 'C';",
    "SET xmloption = 'content';",
    "SELECT pg_catalog.set_config('search_path', '', false);",
    '',
    '',
  ].join('\n');
  for (const object of shared.filter(isBeforeTables)) yield* sharedLines(object);
  for (const one of creationOf(tables, shared)) {
    if ('type' in one) yield* sharedLines(one);
    else yield `${one.sql}\n\n`;
  }
  for (const {name, schema, table} of tables) {
    const columns = rows.columns(name).map(quoteIdent).join(', ');
    const list = columns === '' ? '' : ` (${columns})`;
    yield `COPY ${qualified(schema, table)}${list} FROM stdin;\n`;
    for (const line of rows.lines(name)) {
      yield line;
      yield lineEnd;
    }
    yield '\\.\n\n';
  }
  for (const {sequences} of tables) for (const value of sequences) yield setval(value);
  yield* of(({constraints}) => constraints);
  yield* of(({indexes}) => indexes);
  const names = new Set(tables.map((table) => `${table.schema}.${table.table}`));
  yield* of(({references}) => references.filter((sql) => isInside(sql, names)));
  yield* of(({finish}) => finish);
}

function* sharedLines({type, name, sql, value}: SharedObject): Generator<string> {
  // It exists in every new database.
  if (sql === '' || (type === 'SCHEMA' && name === 'public')) return;
  yield `${sql}\n\n`;
  if (value !== undefined) yield setval(value);
}

function setval(value: string): string {
  const [schema, name, last, isCalled] = JSON.parse(value) as [string, string, string, boolean];
  const sequence = quoteText(qualified(schema, name)).trim();
  return `SELECT pg_catalog.setval(${sequence}, ${last}, ${isCalled});\n\n`;
}

/** Whether a foreign key refers to a table of the script. */
function isInside(sql: string, names: ReadonlySet<string>): boolean {
  const found = referredBy(sql);
  return found !== undefined && names.has(`${found.schema}.${found.table}`);
}
