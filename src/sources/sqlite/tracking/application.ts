import {lastWriter} from '../engine/check-file.ts';
import type {Connection} from '../engine/connection.ts';
import {ownVersion} from '../engine/versions.ts';
import {hasOwnTable} from '../triggers/own-objects.ts';
import {meta} from './own-tables.ts';

/**
 * The version of SQLite that the application has: what wrote the database last, or, where that was bkp, what bkp found
 * when it wrote to it.
 * @param writtenBy see {@link lastWriter}, from before bkp's own write
 */
export function applicationVersion(connection: Connection, writtenBy: number | undefined): number | undefined {
  if (writtenBy !== ownVersion(connection) || !hasOwnTable(connection, meta)) return writtenBy;
  const kept = connection.value(`SELECT value FROM main.${meta} WHERE name = 'application'`);
  return kept === undefined ? writtenBy : Number(kept);
}

/** bkp's own write hides the version in the file's header; within a write transaction, with bkp's tables. */
export function keepApplicationVersion(connection: Connection, writtenBy: number | undefined): void {
  if (writtenBy === undefined || writtenBy === ownVersion(connection)) return;
  connection.run(`INSERT OR REPLACE INTO main.${meta} VALUES ('application', ?)`, String(writtenBy));
}

/** As {@link applicationVersion}, of a file. */
export function applicationVersionOf(connection: Connection, path: string): number | undefined {
  return applicationVersion(connection, lastWriter(path));
}
