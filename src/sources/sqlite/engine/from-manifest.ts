import {constants} from 'node:sqlite';
import {BkpError} from '../../../errors/index.ts';
import type {Connection} from './connection.ts';
import {ResultCode, resultCode} from './errors.ts';
import {foldName} from './quote.ts';

/** What a statement of a manifest may create: one object, on the table or view that is being restored. */
export type Making =
  | {what: 'table'; table: string}
  | {what: 'index'; table: string}
  | {what: 'trigger'; table: string}
  | {what: 'view'; view: string};

const {
  SQLITE_OK,
  SQLITE_DENY,
  SQLITE_INSERT,
  SQLITE_UPDATE,
  SQLITE_READ,
  SQLITE_FUNCTION,
  SQLITE_REINDEX,
  SQLITE_CREATE_TABLE,
  SQLITE_CREATE_INDEX,
  SQLITE_CREATE_TRIGGER,
  SQLITE_CREATE_VIEW,
} = constants;

/**
 * Runs a statement of a manifest, which an attacker may have written. While SQLite compiles a statement it
 * reports all of its actions (https://www.sqlite.org/c3ref/set_authorizer.html), so a statement that does more
 * than create the expected object is refused before it runs: CREATE TABLE … AS SELECT, a trigger on an existing
 * table, a second statement.
 * @throws BkpError `OBJECT_DAMAGED`; SQLite's own error when the rows do not allow the index
 */
export function runFromManifest(connection: Connection, making: Making, sql: string): void {
  compiled(connection, making, sql)();
}

/** The same check without running the statement. */
export function requireOneIndex(connection: Connection, table: string, sql: string): void {
  compiled(connection, {what: 'index', table}, sql);
}

function compiled(connection: Connection, making: Making, sql: string): () => void {
  try {
    return connection.prepareAuthorized(sql, (action, first, second, schema) =>
      allows(making, action, first, second, schema) ? SQLITE_OK : SQLITE_DENY,
    );
  } catch (error) {
    const code = resultCode(error);
    if (code !== ResultCode.error && code !== ResultCode.auth) throw error;
    const name = making.what === 'view' ? making.view : making.table;
    const why = code === ResultCode.auth ? 'does something else' : `cannot be run: ${(error as Error).message}`;
    throw new BkpError('OBJECT_DAMAGED', `the backup's statement for the ${making.what} of ${name} ${why}`, {
      cause: `it is: ${shortened(sql)}`,
      next: 'find out who wrote this backup, and restore another one',
      context: {[making.what === 'view' ? 'view' : 'table']: name},
    });
  }
}

function allows(
  making: Making,
  action: number,
  first: string | null,
  second: string | null,
  schema: string | null,
): boolean {
  // Functions in a schema are only compiled here, and only those of bkp's own SQLite exist.
  if (action === SQLITE_FUNCTION) return true;
  if (schema !== 'main') return false;
  const same = (name: string | null, wanted: string) => name !== null && foldName(name) === foldName(wanted);
  // Creating an object writes its row into the schema.
  const ofSchema = first === 'sqlite_master';
  if (action === SQLITE_INSERT) return ofSchema;
  if (action === SQLITE_UPDATE) return ofSchema;
  switch (making.what) {
    case 'table':
      if (action === SQLITE_READ) return ofSchema || same(first, making.table);
      // The statement also creates the indexes of constraints, and AUTOINCREMENT's table of counters if it is
      // the first.
      if (action === SQLITE_CREATE_INDEX) return same(second, making.table);
      return action === SQLITE_CREATE_TABLE && (same(first, making.table) || first === 'sqlite_sequence');
    case 'index':
      if (action === SQLITE_READ) return ofSchema || same(first, making.table);
      return action === SQLITE_REINDEX || (action === SQLITE_CREATE_INDEX && same(second, making.table));
    case 'trigger':
      return action === SQLITE_CREATE_TRIGGER && same(second, making.table);
    case 'view':
      if (action === SQLITE_READ) return ofSchema;
      return action === SQLITE_CREATE_VIEW && same(first, making.view);
  }
}

function shortened(sql: string): string {
  return sql.length > 200 ? `${sql.slice(0, 200)} …` : sql;
}
