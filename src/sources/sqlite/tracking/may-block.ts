import {statSync} from 'node:fs';
import {type Connection, withConnection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {logName} from '../triggers/names.ts';
import {trackedTables} from './inventory.ts';

// SQLite runs in the thread that calls it. What one call costs at most is judged for a disk that seeks for 10 ms, with
// nothing in memory, against the 90 s after which a lease is lost.

/** A full backup counts rows and creates triggers; a database below this size has neither many rows nor many tables. */
const mostBytesOfFull = 8 * 1024 * 1024;

/** Opening a database recovers its log, and closing it copies the log into the file. */
const mostBytesOfLog = 64 * 1024 * 1024;

/** 256 pages, so some seconds: the text of some thousand tables, indexes and triggers. */
const mostBytesOfSchema = 1024 * 1024;

/** What an object takes beside its text. */
const bytesOfObject = 100;

/** Each key of a delta is found in a table and in the index of its key. */
export const mostKeys = 1000;

/** See `TableSource.mayBlock`. */
export function mayBlock(path: string, type: 'full' | 'incremental'): boolean {
  if (type === 'full' || bytesOf(path) === 0) return isLarge(path);
  if (bytesOf(`${path}-wal`) + bytesOf(`${path}-journal`) >= mostBytesOfLog) return true;
  return withConnection(path, {}, (connection) => hasLargeSchema(connection) || hasManyChanges(connection));
}

/** Whether reading all of it may block. */
export function isLarge(path: string): boolean {
  return bytesOf(path) + bytesOf(`${path}-wal`) >= mostBytesOfFull;
}

function hasLargeSchema(connection: Connection): boolean {
  const bytes = `SELECT total(length(sql) + ${bytesOfObject}) FROM main.sqlite_schema`;
  return connection.number(bytes) >= mostBytesOfSchema;
}

/** Of any owner: rows that no owner needs any more are deleted by the next backup. Numbers of a log have no gaps. */
function hasManyChanges(connection: Connection): boolean {
  return trackedTables(connection).some(({name, log}) => {
    if (!log) return false;
    const rows = `main.${quoteName(logName(name))}`;
    return connection.number(`SELECT (SELECT max(seq) FROM ${rows}) - (SELECT min(seq) FROM ${rows})`) >= mostKeys;
  });
}

/** 0 if it does not exist or cannot be examined: opening it reports the error. */
function bytesOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
