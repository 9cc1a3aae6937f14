import {randomInt} from 'node:crypto';
import type {TableName} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {withSchemaInMemory} from '../engine/schema-in-memory.ts';
import {schemaRows} from '../engine/schema-rows.ts';
import {trackingObstacle} from '../schema/obstacles.ts';
import type {Table} from '../schema/table.ts';
import {logTable, rowTable} from '../triggers/helper-tables.ts';
import {logName} from '../triggers/names.ts';
import {hasOwnTable, requireFreeName} from '../triggers/own-objects.ts';
import {trackingTriggers} from '../triggers/triggers.ts';
import {removeTracking} from './inventory.ts';
import {wholeDatabase} from './marks.ts';
import {createOwnTables, marks} from './own-tables.ts';

/** Far above what a log that lost its rows would count to, far below the largest rowid. */
const firstSeq = 2 ** 40;

/**
 * Starts or continues tracking; within a write transaction.
 * @throws BkpError `PRECONDITION` if something of the user has a name that bkp needs
 */
export function ensureTracking(connection: Connection, tables: readonly Table[]): void {
  createOwnTables(connection);
  // Each statement that changes the schema makes SQLite's tables of it, and bkp's, out of date: look first.
  const wanting = tables.filter((table) => trackingFault(connection, table) !== undefined);
  if (wanting.length > 0) withSchemaInMemory(connection, () => track(connection, wanting));
}

function track(connection: Connection, wanting: readonly Table[]): void {
  removeTracking(
    connection,
    wanting.map(({name}) => name),
  );
  const coming = wanting.map((table) => ({
    log: logTable(table),
    row: rowTable(table),
    triggers: trackingTriggers(table),
  }));
  for (const {log, row, triggers} of coming) {
    for (const {name} of [log, ...(row ? [row] : [])]) requireFreeName(connection, 'table', name);
    for (const {name} of triggers) requireFreeName(connection, 'trigger', name);
  }
  for (const {log, row, triggers} of coming) {
    connection.exec(log.sql);
    const first = BigInt(randomInt(firstSeq, 2 * firstSeq));
    connection.run(`INSERT INTO main.${quoteName(log.name)} (seq) VALUES (?)`, first);
    if (row !== undefined) connection.exec(row.sql);
    for (const trigger of triggers) connection.exec(trigger.sql);
  }
}

/** Triggers of an older bkp could miss changes: the chain ends, and the next full backup creates new ones. */
const notOurs = 'not as this bkp makes it: it was changed, or an older bkp made it';

/** @returns what is wrong with the tracking of a table, in words; undefined when log and triggers are complete */
export function trackingFault(connection: Connection, table: Table): string | undefined {
  const obstacle = trackingObstacle(table);
  if (obstacle !== undefined) return obstacle;
  const log = logTable(table);
  const schema = schemaRows(connection);
  const logSql = schema.find('table', log.name)?.sql;
  if (logSql === undefined) return `its change log ${log.name} is missing`;
  if (logSql !== log.sql) return `its change log ${log.name} is ${notOurs}`;
  if (connection.get(`SELECT 1 FROM main.${quoteName(log.name)} LIMIT 1`) === undefined)
    return `its change log ${log.name} was emptied`;
  const row = rowTable(table);
  if (row !== undefined && schema.find('table', row.name)?.sql !== row.sql) return `its table ${row.name} is missing`;
  for (const {name, sql} of trackingTriggers(table)) {
    const found = schema.find('trigger', name)?.sql;
    if (found === undefined) return `its trigger ${name} is missing`;
    if (found !== sql) return `its trigger ${name} is ${notOurs}`;
  }
  return undefined;
}

/** Every owner with a mark here, its tables, and how many log rows its next increment reads. */
export function listTracking(connection: Connection): {owner: string; tables: TableName[]; logRows: number}[] {
  if (!hasOwnTable(connection, marks)) return [];
  const owners = new Map<string, TableName[]>();
  for (const row of connection.all(`SELECT DISTINCT owner, name FROM main.${marks} ORDER BY owner, name`)) {
    const tables = owners.get(String(row.owner)) ?? [];
    owners.set(String(row.owner), row.name === wholeDatabase ? tables : [...tables, String(row.name)]);
  }
  return [...owners].map(([owner, tables]) => ({
    owner,
    tables,
    logRows: tables
      .filter((table) => hasOwnTable(connection, logName(table)))
      .reduce((sum, table) => sum + logRowsSince(connection, owner, table), 0),
  }));
}

/** Older rows are kept only as long as another owner needs them. */
function logRowsSince(connection: Connection, owner: string, table: TableName): number {
  return connection.number(
    `SELECT count(*) FROM main.${quoteName(logName(table))}
     WHERE seq > (SELECT max(seq) FROM main.${marks} WHERE owner = ? AND name = ?)`,
    owner,
    table,
  );
}
