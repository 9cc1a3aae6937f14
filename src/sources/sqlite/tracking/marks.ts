import {randomBytes} from 'node:crypto';
import type {Mark, TableName} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import type {Table} from '../schema/table.ts';
import {logName} from '../triggers/names.ts';
import {hasOwnTable} from '../triggers/own-objects.ts';
import {recordFile, whyOtherFile} from './file-record.ts';
import {marks} from './own-tables.ts';

export const largestRowid = 2n ** 63n - 1n;

/**
 * The name under which the database as a whole has a mark: no table of a user is called so. Marks of tables go with
 * their logs; this one stays until the owner's next backup, so that the database still knows the backup.
 */
export const wholeDatabase = marks;

// What the mark of the database as a whole has as its position.
const unconfirmed = -1n;
/** And there is a record of the file; an older bkp confirmed with 0, without one. */
const confirmed = 1n;

/** Sets a new mark, which counts once {@link confirmMark} has followed the backup; within a write transaction. */
export function beginMark(connection: Connection, owner: string, tables: readonly Table[]): Mark {
  const mark = randomBytes(12).toString('hex');
  insertMark(connection, {owner, mark, position: unconfirmed}, tables);
  return mark;
}

/** Sets the mark of a backup in the transaction that restores it. */
export function restoreMark(connection: Connection, owner: string, tables: readonly Table[], mark: Mark): void {
  insertMark(connection, {owner, mark, position: confirmed}, tables);
}

/**
 * To be called when the backup of the mark has been read; within a write transaction. A power failure can take
 * transactions that the backup has seen, if they were not synced (PRAGMA synchronous = NORMAL with a write-ahead log),
 * and so can a copy of the files at an earlier moment. What is left is what was written first. So a mark that is
 * confirmed shows that nothing was taken that its backup saw: the confirmation was written after all of that.
 */
export function confirmMark(connection: Connection, owner: string, mark: Mark): void {
  connection.run(
    `UPDATE main.${marks} SET seq = ? WHERE owner = ? AND mark = ? AND name = ?`,
    confirmed,
    owner,
    mark,
    wholeDatabase,
  );
}

/**
 * An older bkp confirmed no mark, or recorded no file: its marks count.
 * @returns in words, why changes since the mark may be unknown whatever the logs have; undefined if it counts
 */
export function whyMarkFails(connection: Connection, owner: string, mark: Mark): string | undefined {
  const position = markedAt(connection, owner, mark, wholeDatabase);
  if (position === unconfirmed)
    return 'the database may have lost, in a crash or because it is a copy, changes that the backup before has';
  return position === confirmed ? whyOtherFile(connection, owner, mark) : undefined;
}

function insertMark(
  connection: Connection,
  {owner, mark, position}: {owner: string; mark: Mark; position: bigint},
  tables: readonly Table[],
): void {
  connection.run(`INSERT OR REPLACE INTO main.${marks} VALUES (?, ?, ?, ?)`, owner, mark, wholeDatabase, position);
  recordFile(connection, owner, mark);
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
}

/**
 * The largest key, and the largest keys that are at least 1, 2, 4, 8, … below it: when rows at the top are
 * deleted, one of these keys remains that is not far below them.
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

/** The largest keys that the table had at the mark; see {@link largestKeys}. */
export function keysAtMark(connection: Connection, table: TableName, seq: bigint): readonly bigint[] {
  return connection
    .all(
      `SELECT value FROM json_each((SELECT gone FROM main.${quoteName(logName(table))} WHERE seq = ?))
       WHERE type = 'integer'`,
      seq,
    )
    .map((row) => row.value as bigint);
}

/** @returns the log's position at the mark; undefined when the source does not know the mark for this table */
export function markedAt(connection: Connection, owner: string, mark: Mark, table: TableName): bigint | undefined {
  if (!hasOwnTable(connection, marks)) return undefined;
  const seq = connection.value(
    `SELECT seq FROM main.${marks} WHERE owner = ? AND mark = ? AND name = ?`,
    owner,
    mark,
    table,
  );
  return seq as bigint | undefined;
}

/** Whether the mark was set in this database. An older bkp set it for tables only. */
export function isMarkKnown(connection: Connection, owner: string, mark: Mark): boolean {
  if (!hasOwnTable(connection, marks)) return false;
  return connection.get(`SELECT 1 FROM main.${marks} WHERE owner = ? AND mark = ? LIMIT 1`, owner, mark) !== undefined;
}

/** The log still has every row that was appended since the mark. */
export function logReachesTo(connection: Connection, table: TableName, seq: bigint): boolean {
  const log = `main.${quoteName(logName(table))}`;
  const of = (what: string) => `(SELECT ${what} FROM ${log} WHERE seq >= ?1)`;
  // Each for itself: SQLite then reads one row for the first and one for the last.
  const query = `SELECT ${of('count(*)')} AS count, ${of('min(seq)')} AS first, ${of('max(seq)')} AS last`;
  const row = connection.get(query, seq)!;
  return row.first === seq && (row.last as bigint) - seq + 1n === row.count;
}
