import type {Mark, TableName} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {logName} from '../triggers/names.ts';
import {hasOwnTable} from '../triggers/own-objects.ts';
import {isIdentityKept} from './identity.ts';
import {removeTracking, trackedTables} from './inventory.ts';
import {files, marks, meta} from './own-tables.ts';

/** Removes the owner's marks except `keep`, and what no other owner needs then; within a write transaction. */
export function dropMarks(connection: Connection, owner: string, keep?: Mark): void {
  const marked = hasOwnTable(connection, marks);
  if (keep !== undefined) {
    // The mark of another database: no change that is logged here is known to be in a backup.
    const known = `SELECT 1 FROM main.${marks} WHERE owner = ? AND mark = ?`;
    if (!marked || connection.get(known, owner, keep) === undefined) return;
  }
  if (marked) connection.run(`DELETE FROM main.${marks} WHERE owner = ? AND mark IS NOT ?`, owner, keep ?? null);
  if (hasOwnTable(connection, files))
    connection.run(`DELETE FROM main.${files} WHERE owner = ? AND mark IS NOT ?`, owner, keep ?? null);
  const unneeded: TableName[] = [];
  for (const {name, log} of trackedTables(connection)) {
    const needed = marked ? connection.value(`SELECT min(seq) FROM main.${marks} WHERE name = ?`, name) : null;
    if (needed === null || needed === undefined || !log) {
      unneeded.push(name);
      continue;
    }
    connection.run(`DELETE FROM main.${quoteName(logName(name))} WHERE seq < ?`, needed);
  }
  removeTracking(connection, unneeded);
  dropUnusedMarks(connection);
}

/** Drops bkp's own tables when no mark is left; within a write transaction. */
export function dropUnusedMarks(connection: Connection): void {
  if (hasOwnTable(connection, marks) && connection.number(`SELECT count(*) FROM main.${marks}`) > 0) return;
  for (const name of [marks, files, ...(isIdentityKept(connection) ? [] : [meta])])
    if (hasOwnTable(connection, name)) connection.exec(`DROP TABLE main.${name}`);
}
