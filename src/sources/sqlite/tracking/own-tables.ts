import {randomBytes} from 'node:crypto';
import type {Connection} from '../engine/connection.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {hasOwnTable, requireFreeName} from '../triggers/own-objects.ts';

/**
 * Change tracking in the source, in tables that bkp creates there:
 *
 * - `_bkp_meta`: the database's identity, and whether backups of the whole file rely on it.
 * - `_bkp_log_<table>`: one row for each key that may have changed, appended by triggers. It can hold keys that
 *   did not change, and never lacks one that did. `seq` starts at a random number and grows by one; the row
 *   that a mark points to and all later rows are kept. So a log that was emptied or thinned out can be told
 *   from a complete one. Where the key is an INTEGER PRIMARY KEY, `gone` = 1 says that the row is deleted or
 *   gets another key; a mark's own row has some of the largest keys of the table at that time there, as JSON.
 *   From them a delta derives above which key every row may be new.
 * - `_bkp_marks`: the position of each table's log when an owner's backup began, and one row for the database as a
 *   whole, which says whether the backup has confirmed its mark. An existing mark of a table has been valid since
 *   it was set: code that finds a log or a trigger missing removes all marks of the table before it creates
 *   them again.
 * - `_bkp_files`: the file in which a mark was set; see file-record.ts.
 */
export const meta = `${ownPrefix}meta`;
export const marks = `${ownPrefix}marks`;
export const files = `${ownPrefix}files`;

/**
 * Creates `_bkp_meta`, with an identity, `_bkp_marks` and `_bkp_files` if they are missing; within a write transaction.
 * @throws BkpError `PRECONDITION` if a table of the user is called so
 */
export function createOwnTables(connection: Connection): void {
  for (const name of [meta, marks, files])
    if (!hasOwnTable(connection, name)) requireFreeName(connection, 'table', name);
  connection.exec(`
    CREATE TABLE IF NOT EXISTS main.${meta} (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS main.${marks}
      (owner TEXT, mark TEXT, name TEXT, seq INTEGER NOT NULL, PRIMARY KEY (owner, mark, name)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS main.${files}
      (owner TEXT, mark TEXT, row INTEGER NOT NULL, inode TEXT NOT NULL, born TEXT NOT NULL,
       PRIMARY KEY (owner, mark));`);
  connection.run(`INSERT OR IGNORE INTO main.${meta} VALUES ('identity', ?)`, randomBytes(16).toString('hex'));
}
