import {realpathSync, statSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {BkpError} from '../../../errors/index.ts';
import {readFully} from '../../../lib/files.ts';
import {checkFile} from '../engine/check-file.ts';
import {Connection} from '../engine/connection.ts';
import {pageOffset, readFrames, walHeader} from './files-wal.ts';

/**
 * The pages of a database at one moment, as they lie in its files, while others write.
 *
 * A read transaction of SQLite holds the moment. What it sees follows from two facts about it:
 * - Without a write-ahead log nobody writes into the file while it is open.
 * - With one, writers append frames behind those that belong to the moment, and a checkpoint copies into the file none that are
 *   newer (https://www.sqlite.org/wal.html#ckpt). So a page is its newest frame among the first n, n frames being the log's
 *   length at that moment, and else what is in the file; whatever a checkpoint is writing there meanwhile is in those n frames too.
 *   The log is not begun anew while a reader needs it. A reader needs none of it when all n frames were in the file already:
 *   then the file alone is the moment, nobody writes into it as long as the transaction is open, and the log may be begun anew.
 *
 * n and how many frames are in the file already (k) are SQLite's own answer, asked before and after the transaction began; equal n
 * and the same log mean that nobody committed in between. k may have grown: then it became n at a time when this reader
 * was there already or came right after, and in both cases the file holds all n frames and no newer one.
 *
 * Closing a file drops all locks that this process has on it (https://www.sqlite.org/howtocorrupt.html, 2.2). So the transaction ends
 * before the files are closed, and nothing else in this process may hold the same database open meanwhile.
 */
export type Image = {
  connection: Connection;
  pageBytes: number;
  pages: number;
  mode: string;
  /** Blocks of `blockBytes`, the last one shorter. @param blockBytes a multiple of the largest page size, 64 KiB */
  read: (blockBytes: number) => AsyncGenerator<Buffer>;
  /** @throws BkpError `SOURCE_UNAVAILABLE` when the moment was not held all the time */
  confirm: () => Promise<void>;
  close: () => Promise<void>;
};

/** A writer that commits every millisecond is met between two commits by one of a few tries. */
const triesBeforeLock = 30;

const readAtOnceBytes = 1024 * 1024;

/**
 * @param options.tries how often the moment is looked for between two commits before writers are made to wait for it. Default 30
 * @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED`
 */
export async function openImage(
  path: string,
  {signal, tries = triesBeforeLock}: {signal: AbortSignal; tries?: number},
): Promise<Image> {
  checkFile(path);
  // SQLite follows links, and the log lies beside the file itself.
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
        throw new BkpError('SOURCE_UNAVAILABLE', `${path} was not held as it was while it was read`, {
          cause: same ? undefined : 'its write-ahead log was begun anew by something that does not keep to its locks',
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

/** What is open, closed in the only right order: connections first. */
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

/** Begins the transaction that holds the moment. @returns the log, when some of it is needed; undefined: the file alone is the moment */
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
    // Somebody left WAL mode, which takes the database for itself: there is no log any more.
    if (!isLog) return {log: undefined};
    // No answer (somebody recovers the log just now) is no two equal answers.
    if (before.frames < 0 || before.frames !== after.frames || !header.equals(headerBefore)) return undefined;
    return {log: after.inFile === after.frames ? undefined : {file, header, frames: after.frames}};
  };
  for (let left = tries; left > 0; left--) {
    const found = await attempt();
    if (found !== undefined) return found.log;
  }
  // Writers wait for the time of two questions.
  const writer = opened.connect(path);
  connection.rollback();
  writer.exec('BEGIN IMMEDIATE');
  const found = await attempt();
  writer.rollback();
  if (found !== undefined) return found.log;
  throw new BkpError('SOURCE_LOCKED', `${path} changes all the time, although it is locked`, {
    next: 'some program writes it without keeping to its locks: stop it, then try again',
  });
}

/**
 * The log's length and how much of it is in the file, by a checkpoint that copies nothing
 * (https://www.sqlite.org/pragma.html#pragma_wal_checkpoint). SQLite before 3.51 does not know NOOP and checkpoints what can be
 * without waiting; the answer is the same.
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
    // Where the file ends before the database does, the pages are in the log, or are free ones that nobody wrote: zeros.
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
