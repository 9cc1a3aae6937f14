import {BkpError} from '../../../errors/index.ts';
import type {Incoming, TargetFindings} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {PostgresStaging} from './staging.ts';

/** Applications wait behind a statement that waits for a lock, so it gives up soon. */
const limits = {lockTimeoutSeconds: 1, statementTimeoutSeconds: 10};

/**
 * Creates what a restore would create, without rows, and rolls it back: the server itself says what is in the way.
 * @param connection of its own
 * @throws BkpError if the connection is lost
 */
export async function rehearseRestore(
  connection: Connection,
  {schemas: targets, stored, objects, database}: Incoming,
): Promise<Pick<TargetFindings, 'obstacle' | 'notices'>> {
  const notices: string[] = [];
  await connection.run('BEGIN');
  try {
    const notice = (text: string) => notices.push(text);
    await PostgresStaging.rehearse(connection, {stored, targets, objects, database}, {limits, notice});
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    // A session that still answers has met a lock or a limit of this moment, which says nothing about the restore.
    if (!error.retryable) return {obstacle: error, notices};
    await connection.run('ROLLBACK').catch(() => Promise.reject(error));
    notices.push(`not everything was tried in the target: ${serverWords(error)}: ${String(error.cause)}`);
  } finally {
    await connection.run('ROLLBACK').catch(() => {});
  }
  return {notices};
}
