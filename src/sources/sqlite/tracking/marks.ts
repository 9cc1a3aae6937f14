import {randomBytes} from 'node:crypto';
import type {Mark, TableName} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import type {Table} from '../schema/table.ts';
import {logName} from '../triggers/names.ts';
import {hasTable, marks} from './own-tables.ts';

export const largestRowid = 2n ** 63n - 1n;

/** Within a write transaction. @param mark default: a new one */
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

/** The largest keys that the table had at the mark; see {@link setMark}. */
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
  if (!hasTable(connection, marks)) return undefined;
  const seq = connection.value(
    `SELECT seq FROM main.${marks} WHERE owner = ? AND mark = ? AND name = ?`,
    owner,
    mark,
    table,
  );
  return seq as bigint | undefined;
}

/** The log still has every row that was appended since the mark. */
export function logReachesTo(connection: Connection, table: TableName, seq: bigint): boolean {
  const log = `main.${quoteName(logName(table))}`;
  const row = connection.get(
    `SELECT count(*) AS count, min(seq) AS first, max(seq) AS last FROM ${log} WHERE seq >= ?`,
    seq,
  )!;
  return row.first === seq && (row.last as bigint) - seq + 1n === row.count;
}
