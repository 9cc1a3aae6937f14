import type {Connection} from '../engine/connection.ts';
import {hasOwnTable} from '../triggers/own-objects.ts';
import {createOwnTables, meta} from './own-tables.ts';

export function identityOf(connection: Connection): string | undefined {
  if (!hasOwnTable(connection, meta)) return undefined;
  const value = connection.value(`SELECT value FROM main.${meta} WHERE name = 'identity'`);
  return value === undefined ? undefined : String(value);
}

/** Backups of the whole file rely on the identity, so it is kept when no table is tracked any more. */
export function isIdentityKept(connection: Connection): boolean {
  return (
    hasOwnTable(connection, meta) &&
    connection.value(`SELECT 1 FROM main.${meta} WHERE name = 'whole file'`) !== undefined
  );
}

/** Creates an identity if there is none, and marks it as one to keep; within a write transaction. */
export function keepIdentity(connection: Connection): void {
  createOwnTables(connection);
  connection.run(`INSERT OR IGNORE INTO main.${meta} VALUES ('whole file', '1')`);
}
