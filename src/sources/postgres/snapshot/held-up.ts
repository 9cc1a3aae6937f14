import {formatDuration} from '../../../lib/figures.ts';
import type {Connection} from '../connection/connection.ts';

/** What is worth telling, in seconds. A shorter wait passes unnoticed in most applications. */
const worthTelling = {waited: 5, open: 3600};

/**
 * Tells what a backup that has read all held up in the server: sessions that wait for its locks, with readers and
 * writers behind them, and VACUUM, which removes nothing that an open snapshot could see.
 * @param connection in the transaction that holds the snapshot and a lock of every table
 */
export async function tellHeldUp(
  connection: Connection,
  notice: ((text: string) => void) | undefined,
  {waited, open} = worthTelling,
): Promise<void> {
  if (notice === undefined) return;
  const since = (time: string) => `extract(epoch FROM clock_timestamp() - ${time})`;
  // A role without pg_read_all_stats sees in pg_locks alone who waits. Of a statement, its first words: literals may be
  // secrets.
  const waiting = await connection.rows(
    `SELECT l.pid, coalesce(' (' || (regexp_match(a.query, '^\\s*(\\w+(?:\\s+\\w+)?)'))[1] || ')', ''),
        ${since('l.waitstart')}
      FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE NOT l.granted AND ${since('l.waitstart')} >= ${waited}
        AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid)) ORDER BY l.waitstart`,
  );
  for (const [pid, statement, seconds] of waiting) {
    notice(`process ${pid}${statement} waited ${formatDuration(Number(seconds))} for this backup to read its tables`);
  }
  const seconds = Number(await connection.value(`SELECT ${since('now()')}`));
  if (seconds < open) return;
  const length = formatDuration(seconds);
  notice(`the snapshot was open for ${length}, in which VACUUM could remove no row that was deleted or changed`);
}
