import {realpathSync, statSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {BkpError} from '../../../errors/index.ts';
import {readFully} from '../../../lib/files.ts';
import {checkFile} from '../engine/check-file.ts';
import {Connection} from '../engine/connection.ts';
import {pageOffset, readFrames, walHeader} from './files-wal.ts';

/**
 * The pages of a database at one point in time, read from its files while other processes write.
 *
 * A read transaction of SQLite holds that point. Two facts decide what it sees:
 * - Without a write-ahead log, no process writes into the file while the transaction is open.
 * - With a log, writers append frames after those of that point, and a checkpoint copies no newer frame into
 *   the file (https://www.sqlite.org/wal.html#ckpt). Let n be the number of frames in the log at that point. A
 *   page is then its newest frame among the first n, or what is in the file when it has none; what a checkpoint
 *   writes there meanwhile is in those n frames too. The log is not restarted while a reader needs it. A reader
 *   does not need it when the file already held all n frames: then the file alone has the content, no process
 *   writes into it while the transaction is open, and the log may restart.
 *
 * SQLite itself reports n and the number k of frames already in the file, before and after the transaction
 * begins. Equal n and the same log mean that no process committed in between. k may have grown: then it reached
 * n when this reader existed or just before it began, and in both cases the file holds all n frames and no
 * newer one.
 *
 * Closing a file drops all locks that this process has on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
 * So the transaction ends before the files are closed, and nothing else in this process may have the same
 * database open meanwhile.
 */
export type Image = {
  connection: Connection;
  pageBytes: number;
  pages: number;
  mode: string;
  /** Blocks of `blockBytes`, the last one shorter. @param blockBytes a multiple of the largest page size, 64 KiB */
  read: (blockBytes: number) => AsyncGenerator<Buffer>;
  /** @throws BkpError `SOURCE_UNAVAILABLE` when the transaction did not hold throughout */
  confirm: () => Promise<void>;
  close: () => Promise<void>;
};

/** Even with a writer that commits every millisecond, one of a few tries falls between two commits. */
const triesBeforeLock = 30;

const readAtOnceBytes = 1024 * 1024;

/**
 * @param options.tries how many times it tries to begin between two commits before it makes writers wait. Default 30
 * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED`
 */
export async function openImage(
  path: string,
  {signal, tries = triesBeforeLock}: {signal: AbortSignal; tries?: number},
): Promise<Image> {
  checkFile(path);
  // SQLite follows links, and the log is next to the file itself.
  const real = realpathSync(path);
  const opened = new Opened();
  try {
    const file = await opened.file(real);
    const connection = opened.connect(real);
    if ((await file.stat()).ino !== statSync(real).ino) {
      throw new BkpError('SOURCE_UNAVAILABLE', `${path} was replaced by another file just now`, {
        next: 'take the backup again',
        retryable: true,
      });
    }
    const wal = await beginTransaction(opened, connection, real, tries);
    const pageBytes = connection.number('PRAGMA main.page_size');
    const pages = connection.number('PRAGMA main.page_count');
    const frames =
      wal === undefined ? undefined : await readFrames(wal.file, real, {frames: wal.frames, pageBytes, signal});
    return {
      connection,
      pageBytes,
      pages,
      mode: String(connection.value('PRAGMA main.journal_mode')),
      read: (blockBytes) =>
        readPages({file, wal: wal?.file, frames, pageBytes, sizeBytes: pages * pageBytes}, blockBytes),
      confirm: async () => {
        const same = wal === undefined || (await walHeader(wal.file)).equals(wal.header);
        if (connection.inTransaction && same) return;
        throw new BkpError('SOURCE_UNAVAILABLE', `${path} changed while it was read`, {
          cause: same ? undefined : 'a program that ignores its locks restarted its write-ahead log',
          next: 'take the backup again; no program may remove the files beside a database that is in use',
        });
      },
      close: () => opened.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Open connections and files, closed in the only correct order: connections first. */
class Opened {
  readonly #connections: Connection[] = [];
  readonly #files: FileHandle[] = [];

  connect(path: string): Connection {
    const connection = new Connection(path);
    this.#connections.push(connection);
    return connection;
  }

  async file(path: string): Promise<FileHandle> {
    const file = await open(path, 'r');
    this.#files.push(file);
    return file;
  }

  async close(): Promise<void> {
    for (const connection of this.#connections.splice(0)) connection.close();
    for (const file of this.#files.splice(0)) await file.close();
  }
}

type Log = {file: FileHandle; header: Buffer; frames: number};

/**
 * Begins the transaction.
 * @returns the log if part of it is needed; undefined when the file alone has the content
 */
async function beginTransaction(
  opened: Opened,
  connection: Connection,
  path: string,
  tries: number,
): Promise<Log | undefined> {
  const begin = () => {
    connection.exec('BEGIN');
    connection.value('SELECT count(*) FROM main.sqlite_schema');
    return connection.value('PRAGMA main.journal_mode') === 'wal';
  };
  if (!begin()) return undefined;
  const observer = opened.connect(path);
  const file = await opened.file(`${path}-wal`);
  const attempt = async (): Promise<{log: Log | undefined} | undefined> => {
    connection.rollback();
    const headerBefore = await walHeader(file);
    const before = logState(observer);
    const isLog = begin();
    const after = logState(observer);
    const header = await walHeader(file);
    // Another process left WAL mode, which needs exclusive access: there is no log any more.
    if (!isLog) return {log: undefined};
    // -1: another process is recovering the log. That is no pair of equal results.
    if (before.frames < 0 || before.frames !== after.frames || !header.equals(headerBefore)) return undefined;
    return {log: after.inFile === after.frames ? undefined : {file, header, frames: after.frames}};
  };
  for (let left = tries; left > 0; left--) {
    const found = await attempt();
    if (found !== undefined) return found.log;
  }
  // Writers wait only while the log's state is read twice.
  const writer = opened.connect(path);
  connection.rollback();
  writer.exec('BEGIN IMMEDIATE');
  const found = await attempt();
  writer.rollback();
  if (found !== undefined) return found.log;
  throw new BkpError('SOURCE_LOCKED', `${path} changes all the time, although it is locked`, {
    next: 'a program writes it and ignores its locks: stop that program, then try again',
  });
}

/**
 * The log's length and how much of it is in the file, from a checkpoint that copies nothing
 * (https://www.sqlite.org/pragma.html#pragma_wal_checkpoint). SQLite before 3.51 does not know NOOP and
 * checkpoints what it can without waiting; the result is the same.
 */
function logState(connection: Connection): {frames: number; inFile: number} {
  const row = connection.get('PRAGMA main.wal_checkpoint(NOOP)');
  return {frames: Number(row?.log), inFile: Number(row?.checkpointed)};
}

type Files = {
  file: FileHandle;
  wal: FileHandle | undefined;
  frames: ReadonlyMap<number, number> | undefined;
  pageBytes: number;
  sizeBytes: number;
};

async function* readPages(
  {file, wal, frames, pageBytes, sizeBytes}: Files,
  blockBytes: number,
): AsyncGenerator<Buffer> {
  const readBytes = Math.max(blockBytes, readAtOnceBytes - (readAtOnceBytes % blockBytes));
  for (let start = 0; start < sizeBytes; start += readBytes) {
    const bytes = Buffer.alloc(Math.min(readBytes, sizeBytes - start));
    // Pages beyond the end of the file are in the log, or are free pages that were never written: zeros.
    await readFully(file, bytes, start);
    if (frames !== undefined && wal !== undefined && frames.size > 0) {
      for (let at = 0; at < bytes.length; at += pageBytes) {
        const frame = frames.get((start + at) / pageBytes + 1);
        if (frame === undefined) continue;
        const page = bytes.subarray(at, at + pageBytes);
        if ((await readFully(wal, page, pageOffset(frame, pageBytes))) === page.length) continue;
        throw new BkpError('SOURCE_DAMAGED', 'the write-ahead log became shorter while it was read', {
          next: 'take the backup again; no program may touch the files beside a database that is in use',
        });
      }
    }
    for (let at = 0; at < bytes.length; at += blockBytes) yield bytes.subarray(at, at + blockBytes);
  }
}
