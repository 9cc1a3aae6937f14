import {randomBytes, randomInt} from 'node:crypto';
import type {Mark, TableName} from '../source.ts';
import {ownPrefix} from './catalog.ts';
import type {Connection} from './connection.ts';
import {trackingObstacle} from './obstacles.ts';
import {foldName, quoteName} from './quote.ts';
import type {Table} from './table.ts';
import {largestKey, logName, logTable, rowName, rowTable, trackingTriggers, triggerNames} from './triggers.ts';

/**
 * Change tracking in the source, in tables of bkp's own:
 *
 * - `_bkp_meta`: the database's identity.
 * - `_bkp_log_<table>`: one row for each key that may have changed, appended by triggers. It holds more keys than have
 *   changed, and never fewer. `seq` begins at a random number and grows by one; the row that a mark points to and all
 *   rows after it stay. So a log that somebody emptied or thinned out is told from a whole one.
 *   Where the key is an INTEGER PRIMARY KEY, `above` is the next smaller key of one that is going away; of a mark, the
 *   largest key that the table had then. So a delta knows above which key every row is new.
 * - `_bkp_marks`: where the log stood when an owner's backup began. A mark that is there was valid from its making on:
 *   whoever finds the log or a trigger of a table missing removes all marks of the table before making them anew.
 */
const meta = `${ownPrefix}meta`;
const marks = `${ownPrefix}marks`;

/** Far above what a log that lost its rows would count to, far below the largest rowid. */
const firstSeq = 2 ** 40;

export function identityOf(connection: Connection): string | undefined {
  if (!exists(connection, 'table', meta)) return undefined;
  const value = connection.value(`SELECT value FROM main.${meta} WHERE name = 'identity'`);
  return value === undefined ? undefined : String(value);
}

/** Starts or goes on tracking; within a write transaction. */
export function ensureTracking(connection: Connection, tables: readonly Table[]): void {
  connection.exec(`
    CREATE TABLE IF NOT EXISTS main.${meta} (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS main.${marks}
      (owner TEXT, mark TEXT, name TEXT, seq INTEGER NOT NULL, PRIMARY KEY (owner, mark, name)) WITHOUT ROWID;`);
  connection.run(`INSERT OR IGNORE INTO main.${meta} VALUES ('identity', ?)`, randomBytes(16).toString('hex'));
  for (const table of tables) {
    if (trackingFault(connection, table) === undefined) continue;
    removeTracking(connection, table.name);
    const log = logTable(table);
    connection.exec(log.sql);
    connection.run(
      `INSERT INTO main.${quoteName(log.name)} (seq) VALUES (?)`,
      BigInt(randomInt(firstSeq, 2 * firstSeq)),
    );
    const row = rowTable(table);
    if (row !== undefined) connection.exec(row.sql);
    for (const trigger of trackingTriggers(table)) connection.exec(trigger.sql);
  }
}

/** Within a write transaction. @param mark absent: a new one */
export function setMark(
  connection: Connection,
  owner: string,
  tables: readonly Table[],
  mark: Mark = randomBytes(12).toString('hex'),
): Mark {
  for (const table of tables) {
    const log = `main.${quoteName(logName(table.name))}`;
    if (table.key.kind === 'rowid') connection.run(`INSERT INTO ${log} (above) VALUES (${largestKey(table)})`);
    connection.run(
      `INSERT OR REPLACE INTO main.${marks} SELECT ?, ?, ?, max(seq) FROM ${log}`,
      owner,
      mark,
      table.name,
    );
  }
  return mark;
}

/** @returns the log's position at the mark; undefined when the source does not know the mark for this table */
export function markedAt(connection: Connection, owner: string, mark: Mark, table: TableName): bigint | undefined {
  if (!exists(connection, 'table', marks)) return undefined;
  const seq = connection.value(
    `SELECT seq FROM main.${marks} WHERE owner = ? AND mark = ? AND name = ?`,
    owner,
    mark,
    table,
  );
  return seq as bigint | undefined;
}

/** Every row that the log got since the mark is there. */
export function logReachesTo(connection: Connection, table: TableName, seq: bigint): boolean {
  const row = connection.get(
    `SELECT count(*) AS count, min(seq) AS first, max(seq) AS last FROM main.${quoteName(logName(table))} WHERE seq >= ?`,
    seq,
  )!;
  return row.first === seq && (row.last as bigint) - seq + 1n === row.count;
}

/** An older one's triggers could miss changes; so its chain ends, and the next full backup makes new triggers. */
const notOurs = 'not as this bkp makes it: it was changed, or an older bkp made it';

/** @returns what is wrong with the tracking of a table, in words; undefined when log and triggers are whole */
export function trackingFault(connection: Connection, table: Table): string | undefined {
  const obstacle = trackingObstacle(table);
  if (obstacle !== undefined) return obstacle;
  const log = logTable(table);
  const found = connection.value(`SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?`, log.name);
  if (found === undefined) return `its change log ${log.name} is not there`;
  if (found !== log.sql) return `its change log ${log.name} is ${notOurs}`;
  if (connection.get(`SELECT 1 FROM main.${quoteName(log.name)} LIMIT 1`) === undefined)
    return `its change log ${log.name} was emptied`;
  const row = rowTable(table);
  if (
    row !== undefined &&
    connection.get('SELECT 1 FROM main.sqlite_schema WHERE name = ? AND sql = ?', row.name, row.sql) === undefined
  )
    return `its table ${row.name} is not there`;
  for (const {name, sql} of trackingTriggers(table)) {
    const found = connection.value(`SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND name = ?`, name);
    if (found === undefined) return `its trigger ${name} is not there`;
    if (found !== sql) return `its trigger ${name} is ${notOurs}`;
  }
  return undefined;
}

/** Removes the owner's marks but `keep`, and what then nobody needs; within a write transaction. */
export function dropMarks(connection: Connection, owner: string, keep?: Mark): void {
  if (!exists(connection, 'table', marks)) return;
  // A mark of another database: nothing here is known to be covered by a backup.
  const known = `SELECT 1 FROM main.${marks} WHERE owner = ? AND mark = ?`;
  if (keep !== undefined && connection.get(known, owner, keep) === undefined) return;
  connection.run(`DELETE FROM main.${marks} WHERE owner = ? AND mark IS NOT ?`, owner, keep ?? null);
  for (const name of trackedTables(connection)) {
    const needed = connection.value(`SELECT min(seq) FROM main.${marks} WHERE name = ?`, name);
    if (needed === null || needed === undefined) {
      removeTracking(connection, name);
      continue;
    }
    connection.run(`DELETE FROM main.${quoteName(logName(name))} WHERE seq < ?`, needed);
  }
  if (connection.number(`SELECT count(*) FROM main.${marks}`) > 0) return;
  connection.exec(`DROP TABLE main.${marks}; DROP TABLE IF EXISTS main.${meta}`);
}

export function listTracking(connection: Connection): {owner: string; tables: TableName[]; logRows: number}[] {
  if (!exists(connection, 'table', marks)) return [];
  const owners = new Map<string, TableName[]>();
  for (const row of connection.all(`SELECT DISTINCT owner, name FROM main.${marks} ORDER BY owner, name`)) {
    const tables = owners.get(String(row.owner)) ?? [];
    owners.set(String(row.owner), [...tables, String(row.name)]);
  }
  return [...owners].map(([owner, tables]) => ({
    owner,
    tables,
    logRows: tables
      .filter((table) => exists(connection, 'table', logName(table)))
      .reduce((sum, table) => sum + logRowsSince(connection, owner, table), 0),
  }));
}

/** What the owner's next increment has to look at; older rows stay only as long as somebody else needs them. */
function logRowsSince(connection: Connection, owner: string, table: TableName): number {
  return connection.number(
    `SELECT count(*) FROM main.${quoteName(logName(table))}
     WHERE seq > (SELECT max(seq) FROM main.${marks} WHERE owner = ? AND name = ?)`,
    owner,
    table,
  );
}

/** Tables that have a log, also those that are gone. */
function trackedTables(connection: Connection): readonly TableName[] {
  const prefix = logName('');
  return connection
    .all(`SELECT name FROM main.sqlite_schema WHERE type = 'table'`)
    .map((row) => String(row.name))
    .filter((name) => foldName(name).startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/** Triggers, log and every mark of the table. The triggers go by name: a renamed table has taken them along. */
function removeTracking(connection: Connection, name: TableName): void {
  const own = new Set(triggerNames(name).map(foldName));
  for (const row of connection.all(`SELECT name FROM main.sqlite_schema WHERE type = 'trigger'`)) {
    if (own.has(foldName(String(row.name)))) connection.exec(`DROP TRIGGER main.${quoteName(String(row.name))}`);
  }
  connection.exec(
    `DROP TABLE IF EXISTS main.${quoteName(rowName(name))}; DROP TABLE IF EXISTS main.${quoteName(logName(name))}`,
  );
  connection.run(`DELETE FROM main.${marks} WHERE name = ? COLLATE NOCASE`, name);
}

function exists(connection: Connection, type: 'table' | 'trigger', name: string): boolean {
  return (
    connection.value(`SELECT 1 FROM main.sqlite_schema WHERE type = ? AND name = ? COLLATE NOCASE`, type, name) !==
    undefined
  );
}
