import {randomBytes, randomInt} from 'node:crypto';
import type {Mark, TableName} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {trackingObstacle} from '../schema/obstacles.ts';
import type {Table} from '../schema/table.ts';
import {logName, logTable, rowName, rowTable, trackedBy, trackingTriggers} from '../triggers/triggers.ts';

/**
 * Change tracking in the source, in tables of bkp's own:
 *
 * - `_bkp_meta`: the database's identity, and whether backups of the whole file go by it.
 * - `_bkp_log_<table>`: one row for each key that may have changed, appended by triggers. It holds more keys than have
 *   changed, and never fewer. `seq` begins at a random number and grows by one; the row that a mark points to and all
 *   rows after it stay. So a log that somebody emptied or thinned out is told from a whole one.
 *   Where the key is an INTEGER PRIMARY KEY, `gone` says that its row goes away or gets another key; a mark's own row has some
 *   of the largest keys that the table had then, as JSON. So a delta knows above which key every row may be new.
 * - `_bkp_marks`: where the log stood when an owner's backup began. A mark that is there was valid from its making on:
 *   whoever finds the log or a trigger of a table missing removes all marks of the table before making them anew.
 */
const meta = `${ownPrefix}meta`;
const marks = `${ownPrefix}marks`;

/** Far above what a log that lost its rows would count to, far below the largest rowid. */
const firstSeq = 2 ** 40;

export const largestRowid = 2n ** 63n - 1n;

export function identityOf(connection: Connection): string | undefined {
  if (!exists(connection, 'table', meta)) return undefined;
  const value = connection.value(`SELECT value FROM main.${meta} WHERE name = 'identity'`);
  return value === undefined ? undefined : String(value);
}

/** The identity by which backups of the whole file are told apart stays when nothing is tracked any more. */
export function isIdentityKept(connection: Connection): boolean {
  return (
    exists(connection, 'table', meta) &&
    connection.value(`SELECT 1 FROM main.${meta} WHERE name = 'whole file'`) !== undefined
  );
}

/** Makes an identity when there is none, and has it stay; within a write transaction. */
export function keepIdentity(connection: Connection): void {
  ensureTracking(connection, []);
  connection.run(`INSERT OR IGNORE INTO main.${meta} VALUES ('whole file', '1')`);
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
    if (table.key.kind === 'rowid')
      connection.run(`INSERT INTO ${log} (gone) VALUES (?)`, `[${largestKeys(connection, table)}]`);
    connection.run(
      `INSERT OR REPLACE INTO main.${marks} SELECT ?, ?, ?, max(seq) FROM ${log}`,
      owner,
      mark,
      table.name,
    );
  }
  return mark;
}

/**
 * The largest key, and the largest that are at least 1, 2, 4, 8, … below it: when rows at the top go, one of these stays that
 * is not much further down.
 */
function largestKeys(connection: Connection, {key, name}: Table): readonly bigint[] {
  const below = `SELECT max(${key.alias}) FROM main.${quoteName(name)} WHERE ${key.alias} <= ?`;
  const top = connection.value(below, largestRowid);
  if (typeof top !== 'bigint') return [];
  const keys = new Set([top]);
  for (let distance = 1n; top - distance >= -largestRowid; distance *= 2n) {
    const next = connection.value(below, top - distance);
    if (typeof next !== 'bigint') break;
    keys.add(next);
  }
  return [...keys];
}

/** The largest keys that the table had at the mark; see {@link setMark}. */
export function keysAtMark(connection: Connection, table: TableName, seq: bigint): readonly bigint[] {
  return connection
    .all(
      `SELECT value FROM json_each((SELECT gone FROM main.${quoteName(logName(table))} WHERE seq = ?)) WHERE type = 'integer'`,
      seq,
    )
    .map((row) => row.value as bigint);
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
  const marked = exists(connection, 'table', marks);
  if (keep !== undefined) {
    // A mark of another database: nothing here is known to be covered by a backup.
    const known = `SELECT 1 FROM main.${marks} WHERE owner = ? AND mark = ?`;
    if (!marked || connection.get(known, owner, keep) === undefined) return;
  }
  if (marked) connection.run(`DELETE FROM main.${marks} WHERE owner = ? AND mark IS NOT ?`, owner, keep ?? null);
  for (const {name, log} of trackedTables(connection)) {
    const needed = marked ? connection.value(`SELECT min(seq) FROM main.${marks} WHERE name = ?`, name) : null;
    if (needed === null || needed === undefined || !log) {
      removeTracking(connection, name);
      continue;
    }
    connection.run(`DELETE FROM main.${quoteName(logName(name))} WHERE seq < ?`, needed);
  }
  dropUnusedMarks(connection);
}

function dropUnusedMarks(connection: Connection): void {
  if (exists(connection, 'table', marks) && connection.number(`SELECT count(*) FROM main.${marks}`) > 0) return;
  connection.exec(`DROP TABLE IF EXISTS main.${marks}`);
  if (!isIdentityKept(connection)) connection.exec(`DROP TABLE IF EXISTS main.${meta}`);
}

/** Tracking that does not work: each increment of the table is refused, and its triggers can stand in the way. */
export type BrokenTracking = {table: TableName; detail: string};

/**
 * Whatever somebody has taken out, and left: each kind of object is looked for by itself. (Schema tools drop tables
 * that they do not know, and with a log goes no trigger that writes to it.)
 */
export function brokenTracking(connection: Connection): readonly BrokenTracking[] {
  const broken: BrokenTracking[] = [];
  for (const tracked of trackedTables(connection)) {
    const detail = whatIsBroken(connection, tracked);
    if (detail !== undefined) broken.push({table: tracked.name, detail});
  }
  const isLeft = !exists(connection, 'table', marks) && exists(connection, 'table', meta);
  if (broken.length === 0 && isLeft && !isIdentityKept(connection))
    broken.push({table: meta, detail: `table ${meta} is left, and nothing is tracked`});
  return broken;
}

function whatIsBroken(connection: Connection, {name, log, row, triggers}: Tracked): string | undefined {
  const missing = [
    ...(log ? [] : [logName(name)]),
    ...(row || !triggers.some(({sql}) => sql.includes(quoteName(rowName(name)))) ? [] : [rowName(name)]),
  ];
  const names = triggers.map((trigger) => trigger.name).join(', ');
  if (missing.length > 0 && triggers.length > 0) {
    const on = [...new Set(triggers.map((trigger) => trigger.on))].join(', ');
    return `writes to table ${on} fail: ${missing.join(' and ')} is gone, and the triggers ${names} write to it`;
  }
  const astray = triggers.find(
    ({on, sql}) => foldName(on) !== foldName(name) && sql.includes(`FROM ${quoteName(name)}`),
  );
  if (astray !== undefined)
    return `writes to table ${astray.on} fail: it was ${name} until a rename with legacy_alter_table, and the triggers ${names} still look for that`;
  if (!log) return `table ${rowName(name)} is left without log and triggers`;
  if (triggers.length === 0) return `table ${logName(name)} is left, and no trigger writes to it`;
  const marked =
    exists(connection, 'table', marks) &&
    connection.value(`SELECT 1 FROM main.${marks} WHERE name = ? COLLATE NOCASE`, name) !== undefined;
  if (!marked) return `changes of table ${name} are logged, and no backup is known that needs them`;
  const found = findTable(connection, name);
  const fault = found.kind === 'table' ? trackingFault(connection, found.table) : undefined;
  return fault === undefined ? undefined : `increments of table ${name} are refused: ${fault}`;
}

/** Takes out what {@link brokenTracking} finds; within a write transaction. The next full backup tracks again. */
export function removeBrokenTracking(connection: Connection): void {
  for (const {table} of brokenTracking(connection)) removeTracking(connection, table);
  dropUnusedMarks(connection);
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

/** What of the tracking of one table is there; the table itself may be gone. */
type Tracked = {
  name: TableName;
  log: boolean;
  row: boolean;
  /** `on`: the table that they are on, which may have been renamed since. */
  triggers: readonly {name: string; on: string; sql: string}[];
};

/** Every table that anything of bkp's own is named after. */
function trackedTables(connection: Connection): readonly Tracked[] {
  const found = new Map<string, {name: string; log: boolean; row: boolean; triggers: Tracked['triggers'][number][]}>();
  const entry = (name: string) => {
    const tracked = found.get(foldName(name)) ?? {name, log: false, row: false, triggers: []};
    found.set(foldName(name), tracked);
    return tracked;
  };
  for (const row of connection.all(`SELECT type, name, tbl_name, sql FROM main.sqlite_schema`)) {
    const name = String(row.name);
    const after = (prefix: string) => (foldName(name).startsWith(prefix) ? name.slice(prefix.length) : '');
    if (row.type === 'trigger') {
      const table = trackedBy(name);
      if (table !== undefined) entry(table).triggers.push({name, on: String(row.tbl_name), sql: String(row.sql)});
    } else if (row.type === 'table') {
      if (after(logName('')) !== '') entry(after(logName(''))).log = true;
      if (after(rowName('')) !== '') entry(after(rowName(''))).row = true;
    }
  }
  return [...found.values()];
}

/** Triggers, log and every mark of the table. The triggers go by name: a renamed table has taken them along. */
function removeTracking(connection: Connection, name: TableName): void {
  for (const row of connection.all(`SELECT name FROM main.sqlite_schema WHERE type = 'trigger'`)) {
    const table = trackedBy(String(row.name));
    if (table !== undefined && foldName(table) === foldName(name))
      connection.exec(`DROP TRIGGER main.${quoteName(String(row.name))}`);
  }
  connection.exec(
    `DROP TABLE IF EXISTS main.${quoteName(rowName(name))}; DROP TABLE IF EXISTS main.${quoteName(logName(name))}`,
  );
  if (exists(connection, 'table', marks))
    connection.run(`DELETE FROM main.${marks} WHERE name = ? COLLATE NOCASE`, name);
}

function exists(connection: Connection, type: 'table' | 'trigger', name: string): boolean {
  return (
    connection.value(`SELECT 1 FROM main.sqlite_schema WHERE type = ? AND name = ? COLLATE NOCASE`, type, name) !==
    undefined
  );
}
