import {createHash} from 'node:crypto';
import {closeSync, existsSync, fstatSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync} from 'node:fs';
import {assert, systemCode} from '../../../errors/index.ts';
import {type Connection, withConnection} from '../engine/connection.ts';
import {readHeader, writePageCount} from '../layout/database-header.ts';
import type {LayoutState} from '../layout/page-layout.ts';
import {writeAt} from '../layout/write-at.ts';
import {completeMove, isAsRecorded} from './delta-progress.ts';
import type {DeltaState} from './staging-record.ts';

/** Identifies the tables, indexes and roots that SQLite made in a file before trees are laid out. */
export function skeletonOf(connection: Connection): string {
  const facts = [
    connection.value('SELECT sqlite_version()'),
    connection.number('PRAGMA main.page_size'),
    connection.number('PRAGMA main.page_count'),
    connection
      .all('SELECT name, rootpage, sql FROM main.sqlite_schema ORDER BY rowid')
      .map((row) => Object.values(row)),
  ];
  const text = JSON.stringify(facts, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** The root pages in a file. */
export function rootsOf(connection: Connection): ReadonlyMap<string, number> {
  const rows = connection.all(`SELECT name, rootpage FROM main.sqlite_schema WHERE rootpage > 0`);
  return new Map(rows.map(({name, rootpage}) => [String(name), Number(rootpage)]));
}

/**
 * Replaces a staging file that SQLite has just made by one that an ended process left, set back to its last checkpoint:
 * what SQLite made there and later steps changed is as in the new file again, and what came after the checkpoint is cut
 * off. Nothing has the files open.
 * @param fresh the new file, with the same skeleton
 * @param left the file of the ended process; its path is free afterwards
 * @param roots of the new file
 * @returns false if another process was faster, or the file has less than its record says; then the new file is as it
 *   was, and the one that was left may be gone
 */
export function takeOver(fresh: string, left: string, state: LayoutState, roots: ReadonlyMap<string, number>): boolean {
  const skeleton = readFileSync(fresh);
  try {
    // Whoever renames it, has it.
    renameSync(left, fresh);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
  const file = openSync(fresh, 'r+');
  try {
    const {pageSize} = readHeader(file);
    if (fstatSync(file).size < state.pages * pageSize) {
      ftruncateSync(file, 0);
      writeAt(file, skeleton, 0);
      return false;
    }
    const complete = new Set(state.done.map((name) => roots.get(name)));
    const pages = skeleton.length / pageSize;
    assert(Number.isInteger(pages) && pages <= state.pages, 'the file begins with the pages that SQLite made');
    for (let page = 1; page <= pages; page++) {
      if (complete.has(page)) continue;
      const at = (page - 1) * pageSize;
      writeAt(file, skeleton.subarray(at, at + pageSize), at);
    }
    ftruncateSync(file, state.pages * pageSize);
    writePageCount(file, state.pages);
    return true;
  } finally {
    closeSync(file);
  }
}

/**
 * As {@link takeOver}, of a file to which rows and keys were being applied: what is in the file counts, and what is in
 * its WAL only if it was being moved into the file.
 */
export function takeOverDeltas(fresh: string, left: string, deltas: DeltaState): boolean {
  try {
    if (deltas.isMoving) withConnection(left, {}, completeMove);
    for (const end of ['-wal', '-shm']) rmSync(left + end, {force: true});
    // The process was about to build indexes: SQLite ends a WAL with a transaction of its own, and undoes it here.
    if (existsSync(`${left}-journal`)) withConnection(left, {}, () => {});
  } catch {
    return false;
  }
  const skeleton = readFileSync(fresh);
  try {
    renameSync(left, fresh);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
  try {
    if (withConnection(fresh, {}, (connection) => isAsRecorded(connection, deltas))) return true;
  } catch {}
  for (const end of ['-wal', '-shm']) rmSync(fresh + end, {force: true});
  const file = openSync(fresh, 'r+');
  try {
    ftruncateSync(file, 0);
    writeAt(file, skeleton, 0);
    return false;
  } finally {
    closeSync(file);
  }
}
