import type {Connection} from '../connection/connection.ts';
import {unquoted} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import type {StoredTable} from './stored.ts';

/** Runs one statement that builds something in a staging schema, in a transaction of its own. */
export async function buildOne(connection: Connection, sql: string): Promise<void> {
  await connection.transaction('BEGIN', async () => {
    await prepareToBuild(connection);
    await connection.run(sql);
  });
}

/**
 * Sets what building needs, until the end of the transaction.
 * @param limits absent: nobody else uses the staged tables, and another connection of this restore may hold a lock for
 *   long
 */
export async function prepareToBuild(
  connection: Connection,
  limits: Parameters<typeof fixSettings>[1] = {lockTimeoutSeconds: 0},
): Promise<void> {
  await fixSettings(connection, limits);
  // Each connection builds one index at a time.
  await connection.run('SET LOCAL client_min_messages = error; SET LOCAL max_parallel_maintenance_workers = 0');
}

/** Runs that fit into a processor's cache are sorted faster than all entries at once. */
const leastSortBytes = 16 * 1024 * 1024;
/** Also a large table is sorted in as many runs at most, so that they are merged once. */
const mostRuns = 64;
const mostSortBytes = 256 * 1024 * 1024;

/** Sets the memory in which indexes of a table are sorted. @param table qualified and quoted; with its rows */
export async function setSortMemory(connection: Connection, table: string): Promise<void> {
  const bytes = await connection.value(
    `SELECT max(pg_catalog.pg_table_size(oid)) FROM (
      SELECT $1::text::regclass AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::text::regclass)) own`,
    [table],
  );
  await connection.run(`SET LOCAL maintenance_work_mem = '${Math.ceil(sortBytesOf(Number(bytes)) / 1024)}kB'`);
}

/** @param tableBytes of a table, or of its largest partition */
export function sortBytesOf(tableBytes: number): number {
  return Math.min(mostSortBytes, Math.max(leastSortBytes, tableBytes / mostRuns));
}

const adding = /^ALTER TABLE ONLY \S.*?\s+ADD CONSTRAINT ("(?:[^"]|"")*"|\S+) FOREIGN KEY /su;

/**
 * A foreign key in two steps: a statement that adds it, whose locks allow no other one at the same time, and the name
 * of the constraint to {@link validation}, which compares the rows and may run beside others.
 * @returns undefined for keys of which the second part is impossible or not wanted
 */
export function inTwoSteps(table: StoredTable, sql: string): {add: string; constraint: string} | undefined {
  const [, constraint] = adding.exec(sql) ?? [];
  if (table.kind !== 'table' || constraint === undefined || !comparesRows(sql)) return undefined;
  return {add: `${sql.replace(/;\s*$/u, '')} NOT VALID`, constraint};
}

/** Whether a statement that adds a constraint compares the rows that are there. */
export const comparesRows = (sql: string) => !/\bNOT (?:VALID|ENFORCED)\b/u.test(sql);

/** @param table qualified and quoted @param constraint quoted if it needs to be */
export const validation = (table: string, constraint: string) =>
  `ALTER TABLE ONLY ${table} VALIDATE CONSTRAINT ${constraint}`;

/** The table to which a foreign key refers. */
export function referredBy(sql: string): {schema: string; table: string} | undefined {
  const [, schema, table] = /\bREFERENCES ("(?:[^"]|"")*"|[^."\s]+)\.("(?:[^"]|"")*"|[^."\s(]+)/u.exec(sql) ?? [];
  if (schema === undefined || table === undefined) return undefined;
  return {schema: unquoted(schema), table: unquoted(table)};
}
