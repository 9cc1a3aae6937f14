import {readdirSync, readlinkSync, realpathSync, renameSync, rmSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {syncFolderSync} from '../../../lib/files.ts';
import {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode, translated} from '../engine/errors.ts';
import {placeNewFile, requireNoStrayJournal} from '../restore/place-new-file.ts';

/**
 * Moves a checked file to a path without a database.
 * @throws BkpError `TABLE_EXISTS` (one appeared meanwhile) | `PRECONDITION` (a log without its database) |
 *   `SOURCE_LOCKED`
 */
export function placeNewDatabase(staged: string, wanted: string): void {
  const path = join(realpathSync(dirname(wanted)), basename(wanted));
  requireNoStrayJournal(path);
  // A program that still has a removed database open would share the files next to it with the new database.
  requireNotOpen(path, [`${path}-wal`, `${path}-shm`]);
  removeEmptyLog(path);
  placeNewFile(staged, path, 'its backup was');
  try {
    rmSync(staged, {force: true});
    syncFolderSync(dirname(path));
  } catch (error) {
    throw translated(error, path);
  }
}

/**
 * Replaces an empty database by a checked file while no other process can use it.
 *
 * SQLite's exclusive lock excludes every process that is in a transaction, or in WAL mode has the file open at
 * all. An idle program that has it open without WAL holds no lock; it is found among the open files of this
 * machine's processes, as far as this user may see them. Elsewhere SQLite itself refuses its next write
 * (SQLITE_READONLY_DBMOVED).
 * @throws BkpError `SOURCE_LOCKED` | `TABLE_EXISTS` (it is not empty any more)
 */
export function replaceEmptyDatabase(staged: string, link: string): void {
  // The file itself is replaced, not a link to it.
  const path = realpathSync(link);
  requireNotOpen(path, [path, `${path}-wal`, `${path}-shm`]);
  const connection = new Connection(path, {busyTimeoutMs: 0});
  try {
    // Leaving WAL mode needs exclusive access, and removes the log and its index. No journal on disk: a crash
    // would leave it next to the restored file, and the next process to open that would roll it back into it.
    connection.value('PRAGMA main.journal_mode = MEMORY');
    connection.exec('BEGIN EXCLUSIVE');
    if (!isEmpty(connection)) {
      throw new BkpError('TABLE_EXISTS', 'The local database is not empty.', {
        cause: `${path} was written to while its backup was restored`,
        next: 'restore to another path',
      });
    }
    removeEmptyLog(path);
    renameSync(staged, path);
    syncFolderSync(dirname(path));
  } catch (error) {
    const code = resultCode(error instanceof BkpError ? error.cause : error);
    if (code === ResultCode.busy || code === ResultCode.locked) throw openElsewhere(path, 'its lock is held');
    throw translated(error, path);
  } finally {
    connection.rollback();
    connection.close();
  }
}

/** Removes an empty log; a program whose database was removed keeps its own removed files. */
function removeEmptyLog(path: string): void {
  requireNoStrayJournal(path);
  for (const end of ['-wal', '-shm', '-journal']) rmSync(path + end, {force: true});
}

/** Reads Linux's list of open files; on other systems, and for other users' processes, it finds nothing. */
function requireNotOpen(database: string, paths: readonly string[]): void {
  const wanted = new Set(paths);
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const folder = join('/proc', pid, 'fd');
    for (const file of list(folder)) {
      const opened = target(join(folder, file));
      // A removed file's name ends in ` (deleted)`: a process that has it open shares nothing with a new file.
      if (opened !== undefined && wanted.has(opened)) {
        throw openElsewhere(database, `process ${pid} has it open`);
      }
    }
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function target(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

function openElsewhere(path: string, why: string): BkpError {
  return new BkpError('SOURCE_LOCKED', `${path} is open in another program; nothing was touched`, {
    cause: why,
    next: 'end that program, then restore again',
    retryable: true,
  });
}

export const isEmpty = (connection: Connection) => connection.number('SELECT count(*) FROM main.sqlite_schema') === 0;
