import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';

/** Lock modes with which ours conflicts. Source: https://www.postgresql.org/docs/18/explicit-locking.html */
const conflicting = {
  'ACCESS SHARE': ['AccessExclusiveLock'],
  'SHARE ROW EXCLUSIVE': [
    'RowExclusiveLock',
    'ShareUpdateExclusiveLock',
    'ShareLock',
    'ShareRowExclusiveLock',
    'ExclusiveLock',
    'AccessExclusiveLock',
  ],
} as const;

/**
 * Names who holds the lock that was not had in time, or waits for it before us. To be called when the transaction that
 * wanted it has been rolled back.
 * @param wanted.oids of the tables. Absent: any table of the database
 * @returns the error as it is if it is another one, or if the lock is free by now
 */
export async function withLockHolder(
  connection: Connection,
  error: unknown,
  {oids, mode, cause}: {oids?: readonly number[]; mode: keyof typeof conflicting; cause: string},
): Promise<unknown> {
  if (!(error instanceof BkpError) || error.code !== 'SOURCE_LOCKED' || error.context.holder !== undefined)
    return error;
  const modes = conflicting[mode].map((name) => `'${name}'`).join(', ');
  const relations = oids === undefined ? "n.nspname !~ '^pg_'" : `l.relation IN (${[0, ...oids].join(', ')})`;
  const [holder] = await connection.rows(`
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), l.pid,
      left(regexp_replace(a.query, '\\s+', ' ', 'g'), 60),
      greatest(0, round(extract(epoch FROM clock_timestamp() - a.xact_start)))
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND ${relations} AND l.mode IN (${modes})
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND l.pid IS DISTINCT FROM pg_backend_pid()
    ORDER BY l.granted DESC, a.xact_start NULLS FIRST LIMIT 1`);
  if (holder === undefined) return error;
  const [table, pid, query, seconds] = holder;
  const who =
    pid === null
      ? 'a prepared transaction (SELECT * FROM pg_prepared_xacts lists them)'
      : `process ${pid} (${query}, for ${seconds} s)`;
  return new BkpError('SOURCE_LOCKED', `${table} is locked by ${who}`, {
    cause,
    next:
      pid === null
        ? 'give the statement again when it has been committed or rolled back'
        : `give the statement again when that transaction has ended; SELECT pg_cancel_backend(${pid}) cancels it`,
    retryable: true,
    context: {holder: pid ?? 'a prepared transaction'},
  });
}

/**
 * Runs what reads the catalog: some of its functions wait for tables that another session is about to change.
 * @param ask on which connection the holder of the lock is searched
 */
export async function namingHolder<T>(ask: () => Promise<Connection>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BkpError) || error.code !== 'SOURCE_LOCKED') throw error;
    const cause = 'bkp reads how a table is made between two changes of its schema';
    throw await withLockHolder(await ask(), error, {mode: 'ACCESS SHARE', cause}).catch(() => error);
  }
}
