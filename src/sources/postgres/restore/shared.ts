import type {Connection} from '../connection/connection.ts';
import {sqlState} from '../connection/errors.ts';
import type {SharedObject} from './stored.ts';

/** SQLSTATEs of objects that exist already. */
const exists = new Set(['42710', '42P06', '42P07', '42723', '42P16', '42704']);

/**
 * Creates what the tables need and the target lacks: schemas, extensions, types, functions. What exists stays as it
 * is.
 * @returns names of what existed
 */
export async function createShared(
  connection: Connection,
  objects: readonly SharedObject[],
): Promise<readonly string[]> {
  const kept: string[] = [];
  for (const {type, schema, name, sql} of objects) {
    if (sql === '') continue;
    await connection.run('SAVEPOINT shared');
    try {
      await connection.run(`${sql}; RELEASE SAVEPOINT shared`);
    } catch (error) {
      const state = sqlState((error as {cause?: unknown}).cause) ?? stateOf(error);
      await connection.run('ROLLBACK TO SAVEPOINT shared');
      if (state === undefined || !exists.has(state)) throw error;
      if (type !== 'COMMENT' && type !== 'ACL')
        kept.push(`${type.toLowerCase()} ${schema === '' ? '' : `${schema}.`}${name}`);
    }
  }
  return kept;
}

const stateOf = (error: unknown) => /SQLSTATE (\w{5})/u.exec(String((error as {cause?: unknown}).cause))?.[1];
