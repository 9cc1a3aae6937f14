import {constants} from 'node:sqlite';
import {BkpError} from '../../../errors/index.ts';
import type {Connection} from './connection.ts';
import {ResultCode, resultCode} from './errors.ts';
import {foldName} from './quote.ts';

/** What a statement of a manifest may make: one object, on the table or view that is being restored. */
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
 * Runs a statement that came with a manifest, which anybody may have written. SQLite reports all that a statement does
 * while it compiles it (https://www.sqlite.org/c3ref/set_authorizer.html), so one that does more than make the expected
 * object is refused before it has done anything: CREATE TABLE … AS SELECT, a trigger on a table that exists, a second
 * statement.
 * @throws BkpError `OBJECT_DAMAGED`; what SQLite reports when the rows do not let it make an index
 */
export function runFromManifest(connection: Connection, making: Making, sql: string): void {
  compiled(connection, making, sql)();
}

/** The same look at it, and nothing is run. */
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
  // Functions in a schema are only compiled here, and those of bkp's own SQLite are all there are.
  if (action === SQLITE_FUNCTION) return true;
  if (schema !== 'main') return false;
  const same = (name: string | null, wanted: string) => name !== null && foldName(name) === foldName(wanted);
  // Making anything writes its row into the schema.
  const ofSchema = first === 'sqlite_master';
  if (action === SQLITE_INSERT) return ofSchema;
  if (action === SQLITE_UPDATE) return ofSchema;
  switch (making.what) {
    case 'table':
      if (action === SQLITE_READ) return ofSchema || same(first, making.table);
      // The indexes of its constraints come with it, and AUTOINCREMENT's counters with the first such table.
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
