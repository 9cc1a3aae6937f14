import type {DatabaseFacts, TableName, TableSchema} from '../../source.ts';
import {onlyOf} from '../catalog/relations.ts';
import {qualified, quoteBody, quoteIdent, quoteText} from '../connection/quote.ts';
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
import {sumOf} from '../restore/typed-rows.ts';
import {isDomainCheck} from '../schema/rewrite.ts';

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
  // Rows need not meet these.
  const checks = shared.filter(isDomainCheck);
  const others = shared.filter((one) => !checks.includes(one));
  for (const object of others.filter(isBeforeTables)) yield* sharedLines(object);
  for (const one of creationOf(tables, others)) {
    if ('type' in one) yield* sharedLines(one);
    else yield `${one.sql}\n\n`;
  }
  for (const table of tables) yield* rowsOf(table, rows);
  for (const {sequences} of tables) for (const value of sequences) yield setval(value);
  for (const check of checks) yield* sharedLines(check);
  yield* of(({constraints}) => constraints);
  yield* of(({indexes}) => indexes);
  const names = new Set(tables.map((table) => `${table.schema}.${table.table}`));
  yield* of(({references}) => references.filter((sql) => isInside(sql, names)));
  yield* of(({finish}) => finish);
}

function* rowsOf({name, schema, table, kind, computed}: StoredTable, rows: Rows): Generator<string | Uint8Array> {
  const columns = rows.columns(name);
  const own = qualified(schema, table);
  const list = columns.map(quoteIdent).join(', ');
  // The values of computed columns are those that the table had; it computes them again.
  const isComputed = new Set(computed);
  const into = isComputed.size === 0 ? own : 'pg_temp.bkp_rows';
  if (into !== own) yield `CREATE TEMPORARY TABLE bkp_rows AS SELECT ${list} FROM ${own} WHERE false;\n\n`;
  yield `COPY ${into}${list === '' ? '' : ` (${list})`} FROM stdin;\n`;
  for (const line of rows.lines(name)) {
    yield line;
    yield lineEnd;
  }
  yield '\\.\n\n';
  if (into === own) return;
  const plain = columns.filter((column) => !isComputed.has(column)).map(quoteIdent);
  const target = plain.length === 0 ? own : `${own} (${plain.join(', ')})`;
  yield `INSERT INTO ${target} OVERRIDING SYSTEM VALUE SELECT ${plain.join(', ')} FROM ${into};\n\n`;
  const sum = `SELECT ${sumOf(list)} FROM`;
  const found = `(${sum} ${onlyOf(kind)}${own}) IS DISTINCT FROM (${sum} ${into})`;
  const warning = quoteText(`${name} computes other values than it had in the backup`);
  yield `DO ${quoteBody(`BEGIN IF ${found} THEN RAISE WARNING USING MESSAGE =${warning}; END IF; END`)};\n\n`;
  yield `DROP TABLE ${into};\n\n`;
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
