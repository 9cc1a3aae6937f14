import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../engine/connection.ts';
import {logHeader} from './log.ts';
import type {Opened} from './opened.ts';

/** The write-ahead log at one point in time. */
export type Log = {
  /** Its descriptor. */
  file: number;
  header: Buffer;
  /** Those of that point; later ones belong to later transactions. */
  frames: number;
};

/** Begins a transaction that holds its view. @returns whether the database has a write-ahead log */
export function begin(connection: Connection): boolean {
  connection.exec('BEGIN');
  // BEGIN alone takes no lock.
  connection.value('SELECT count(*) FROM main.sqlite_schema');
  return connection.value('PRAGMA main.journal_mode') === 'wal';
}

/**
 * Begins the transaction of a database with a write-ahead log again, between two commits of other processes.
 * @param tries how many times it tries before it makes writers wait
 * @returns the log if part of it is needed; undefined when the file alone has the content
 * @throws BkpError `SOURCE_LOCKED`
 */
export async function logAtMoment(
  opened: Opened,
  connection: Connection,
  path: string,
  tries: number,
): Promise<Log | undefined> {
  const observer = opened.connect(path);
  const file = opened.file(`${path}-wal`).descriptor;
  const attempt = async (): Promise<{log: Log | undefined} | undefined> => {
    connection.rollback();
    const headerBefore = await logHeader(file);
    const before = logState(observer);
    const isLog = begin(connection);
    const after = logState(observer);
    const header = await logHeader(file);
    // Another process left WAL mode, which needs exclusive access: there is no log any more.
    if (!isLog) return {log: undefined};
    // -1: another process is recovering the log. That is no pair of equal results.
    if (before.frames < 0 || before.frames !== after.frames || !header.equals(headerBefore)) return undefined;
    return {log: after.inFile === after.frames ? undefined : {file, header, frames: after.frames}};
  };
  for (let left = tries; left > 0; left--) {
    const found = await attempt();
    if (found !== undefined) return found.log;
  }
  // Writers wait only while the log's state is read twice.
  const writer = opened.connect(path);
  connection.rollback();
  writer.exec('BEGIN IMMEDIATE');
  const found = await attempt();
  writer.rollback();
  if (found !== undefined) return found.log;
  throw new BkpError('SOURCE_LOCKED', `${path} changes all the time, although it is locked`, {
    next: 'a program writes it and ignores its locks: stop that program, then try again',
  });
}

/**
 * The log's length and how much of it is in the file, from a checkpoint that copies nothing
 * (https://www.sqlite.org/pragma.html#pragma_wal_checkpoint). SQLite before 3.51 does not know NOOP and
 * checkpoints what it can without waiting; the result is the same.
 */
function logState(connection: Connection): {frames: number; inFile: number} {
  const row = connection.get('PRAGMA main.wal_checkpoint(NOOP)');
  return {frames: Number(row?.log), inFile: Number(row?.checkpointed)};
}
