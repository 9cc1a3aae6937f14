import type {BkpError} from '../../../errors/index.ts';
import type {TableName} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {sqlStateOf} from '../connection/errors.ts';

// What a table can have only when all tables have their names and rows, because a function in it looks at another one.
// A staging keeps it in its first schema, so that another one that continues it knows it too.
const tableIn = (schema: string) => `${schema}._bkp_later`;

/** A statement of a table, under the names of the backup. */
export type Later = {name: TableName; sql: string};

export async function createLater(connection: Connection, schema: string): Promise<void> {
  await connection.run(`CREATE TABLE ${tableIn(schema)} (number serial, name text NOT NULL, sql text NOT NULL)`);
}

/** In the transaction that would have run the statement. */
export async function recordLater(connection: Connection, schema: string, {name, sql}: Later): Promise<void> {
  await connection.rows(`INSERT INTO ${tableIn(schema)} (name, sql) VALUES ($1, $2)`, [name, sql]);
}

export async function laterIn(connection: Connection, schema: string): Promise<readonly Later[]> {
  const rows = await connection.rows(`SELECT name, sql FROM ${tableIn(schema)} ORDER BY number`);
  return rows.map(([name, sql]) => ({name: name!, sql: sql!}));
}

export async function forgetLater(connection: Connection, schema: string): Promise<void> {
  await connection.run(`DROP TABLE ${tableIn(schema)}`);
}

/** Classes of SQLSTATEs of errors that say nothing about a statement and its rows: limits, connections, the machine. */
export const ofServer = /^(?:08|25|40|53|55|57|58|XX)/u;

/** Whether an error is about what the statement says and the rows that it meets. */
export function isOfStatement(error: unknown): error is BkpError {
  const state = sqlStateOf(error);
  return state !== undefined && !ofServer.test(state);
}

/** Something that a statement names, or that its functions look at, was not found. */
export const isAboutNames = (error: unknown) => /^(?:42|3F)/u.test(sqlStateOf(error) ?? '');

/**
 * Runs a statement that may call a function which does not find yet what it looks at, or which refuses rows.
 * @returns whether it ran; if not, the transaction is as before, and a later attempt may succeed
 * @throws BkpError if it is not about the statement
 */
export async function runOrLeave(connection: Connection, sql: string): Promise<boolean> {
  return orLeave(connection, () => connection.run(`SAVEPOINT maybe; ${sql}; RELEASE SAVEPOINT maybe`));
}

/** The same for more than one statement. */
export async function workOrLeave(connection: Connection, work: () => Promise<void>): Promise<boolean> {
  return orLeave(connection, async () => {
    await connection.run('SAVEPOINT maybe');
    await work();
    await connection.run('RELEASE SAVEPOINT maybe');
  });
}

/** @param attempt within the savepoint */
async function orLeave(connection: Connection, attempt: () => Promise<void>): Promise<boolean> {
  try {
    await attempt();
    return true;
  } catch (error) {
    if (!isOfStatement(error)) throw error;
    // Released, too: this may be in the work of another one, whose savepoint has the same name.
    await connection.run('ROLLBACK TO SAVEPOINT maybe; RELEASE SAVEPOINT maybe');
    return false;
  }
}

/**
 * Runs `work` in a transaction: first with an empty search path, as pg_restore does; if that fails, with the one of the
 * database of the backup, on which its functions find names without a schema.
 * @param searchPath as a statement writes it
 * @param isForPath whether another path may help after this error
 */
export async function onSomePath<T>(
  connection: Connection,
  searchPath: string | undefined,
  work: () => Promise<T>,
  isForPath: (error: unknown) => boolean = (error) => sqlStateOf(error) !== undefined,
): Promise<T> {
  await connection.run('SAVEPOINT path');
  let last: unknown;
  for (const path of ["''", searchPath]) {
    if (path === undefined) break;
    try {
      await connection.run(`SET LOCAL search_path = ${path}`);
      const result = await work();
      await connection.run("SET LOCAL search_path = ''; RELEASE SAVEPOINT path");
      return result;
    } catch (error) {
      last = error;
      if (!isForPath(error)) throw error;
      await connection.run('ROLLBACK TO SAVEPOINT path');
    }
  }
  throw last;
}
