import {randomInt} from 'node:crypto';
import {statSync} from 'node:fs';
import type {Mark} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {hasOwnTable} from '../triggers/own-objects.ts';
import {files} from './own-tables.ts';

/**
 * Which file a mark was set in. Marks, logs and triggers can get into another file together with rows that no trigger
 * has seen: a dump that was edited and loaded, rows that were copied one by one, what `.recover` could save. Two
 * things show that:
 *
 * - The file is another one. Its number and the time of its creation stay when it is renamed, vacuumed or checkpointed.
 *   Its device does not count: many file systems get another number each time they are mounted.
 * - The record has another rowid than the one that is written in it. SQLite keeps the rowids of a table that has an
 *   index where it copies pages, and where VACUUM copies its rows; a dump does not have them. This is also seen
 *   where the new content was written into the old file.
 */
type FileIdentity = {
  inode: string;
  /** In ns since 1970; empty where the file system does not keep it. */
  born: string;
};

const mayBeMissing = 'after the backup before, and its log may lack changes';

/** Far above the rowids that SQLite would choose. */
const firstRow = 2 ** 40;

/** Within a write transaction, with bkp's tables. */
export function recordFile(connection: Connection, owner: string, mark: Mark): void {
  const {inode, born} = identityOfFile(connection.path);
  connection.run(
    `INSERT OR REPLACE INTO main.${files} (rowid, owner, mark, row, inode, born) VALUES (?1, ?2, ?3, ?1, ?4, ?5)`,
    BigInt(randomInt(firstRow, 2 * firstRow)),
    owner,
    mark,
    inode,
    born,
  );
}

/** @returns in words, why changes may have been made that no trigger saw; undefined if the file is that of the mark */
export function whyOtherFile(connection: Connection, owner: string, mark: Mark): string | undefined {
  const row = hasOwnTable(connection, files)
    ? connection.get(
        `SELECT rowid = row AS isKept, inode, born FROM main.${files} WHERE owner = ? AND mark = ?`,
        owner,
        mark,
      )
    : undefined;
  if (row?.isKept !== 1n) return `the database was loaded from a dump, or copied row by row, ${mayBeMissing}`;
  const {inode, born} = identityOfFile(connection.path);
  const isSame = row.inode === inode && (row.born === '' || born === '' || row.born === born);
  if (isSame) return undefined;
  return `the database got into another file, by a copy or a move to another file system, ${mayBeMissing}`;
}

function identityOfFile(path: string): FileIdentity {
  const found = statSync(path, {bigint: true, throwIfNoEntry: false});
  if (found === undefined) return {inode: '', born: ''};
  // Where the time of creation is not known, Node has 0 or the time of the last change there.
  const isKnown = found.birthtimeNs > 0n && found.birthtimeNs !== found.ctimeNs;
  return {inode: String(found.ino), born: isKnown ? String(found.birthtimeNs) : ''};
}
