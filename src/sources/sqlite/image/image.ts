import {realpathSync, statSync} from 'node:fs';
import {BkpError} from '../../../errors/index.ts';
import {checkFile} from '../engine/check-file.ts';
import type {Connection} from '../engine/connection.ts';
import {inodeOf} from '../engine/raw-file.ts';
import {readFrames} from './log.ts';
import {begin, type Log, logAtMoment} from './moment.ts';
import {Opened} from './opened.ts';
import {type ImageFiles, readBlocks} from './read-blocks.ts';
import {type Watch, watch} from './watch.ts';

/**
 * The pages of a database at one point in time, read from its files while other processes write.
 *
 * A read transaction of SQLite holds that point. Two facts decide what it sees:
 * - Without a write-ahead log, no process writes into the file while the transaction is open.
 * - With a log, writers append frames after those of that point, and a checkpoint copies no newer frame into
 *   the file (https://www.sqlite.org/wal.html#ckpt). Let n be the number of frames in the log at that point. A
 *   page is then its newest frame among the first n, or what is in the file when it has none; what a checkpoint
 *   writes there meanwhile is in those n frames too, so no page is read from the file while it is written. The log is
 *   not restarted while a reader needs it. A reader does not need it when the file already held all n frames: then
 *   the file alone has the content, no process writes into it while the transaction is open, and the log may restart.
 *
 * SQLite itself reports n and the number k of frames already in the file, before and after the transaction
 * begins. Equal n and the same log mean that no process committed in between. k may have grown: then it reached
 * n when this reader existed or just before it began, and in both cases the file holds all n frames and no
 * newer one.
 *
 * SQLite opens the file first: some file systems (overlayfs) give a file that is then opened for writing a new copy,
 * and an older descriptor would read the old one. The transaction ends before the files are closed, because closing
 * them drops its locks (see `RawFile`).
 */
export type Image = {
  pageBytes: number;
  pages: number;
  /**
   * The open files, for reading single pages. The first call reads the log.
   * @throws BkpError `SOURCE_DAMAGED` when the log is
   */
  files: () => Promise<ImageFiles>;
  /**
   * All pages in blocks of `blockBytes`, the last one shorter.
   * @param blockBytes a multiple of the largest page size, 64 KiB
   * @throws BkpError `SOURCE_DAMAGED`
   */
  read: (blockBytes: number) => AsyncGenerator<Buffer>;
};

/** A read transaction, and the pages that it sees. */
export type Reading = {
  connection: Connection;
  /** PRAGMA journal_mode. */
  mode: string;
  /** Undefined when SQLite can read the files and bkp cannot. */
  image: Image | undefined;
  /** Why there is no image. */
  obstacle?: unknown;
  /** @throws BkpError `SOURCE_UNAVAILABLE` when the transaction did not hold throughout */
  confirm: () => Promise<void>;
  /** Ends the transaction, then closes the files. No thread may read them any more. */
  close: () => void;
};

export type ReadingOptions = {
  signal?: AbortSignal | undefined;
  /** How many times it tries to begin between two commits before it makes writers wait. Default 30. */
  tries?: number;
};

/** Even with a writer that commits every millisecond, one of a few tries falls between two commits. */
const triesBeforeLock = 30;

/** @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED` */
export async function openReading(path: string, options: ReadingOptions = {}): Promise<Reading> {
  checkFile(path);
  // SQLite follows links, and the log is next to the file itself.
  const real = realpathSync(path);
  // The second time the file is no longer copied when SQLite opens it.
  const reading = await tryToOpen(real, options);
  if (!(reading.obstacle instanceof Replaced)) return reading;
  reading.close();
  return tryToOpen(real, options);
}

/** {@link openReading}; what prevents an image is an error. */
export async function openImage(path: string, options: ReadingOptions = {}): Promise<Reading & {image: Image}> {
  const reading = await openReading(path, options);
  if (reading.image !== undefined) return {...reading, image: reading.image};
  reading.close();
  throw reading.obstacle;
}

async function tryToOpen(path: string, options: ReadingOptions): Promise<Reading> {
  const opened = new Opened();
  try {
    const before = inodeAt(path);
    const connection = opened.connect(path);
    const file = openBeside(opened, path, before);
    // What fails here would fail without an image too.
    const hasLog = begin(connection);
    const found = await findMoment(opened, connection, path, {file, hasLog, tries: options.tries ?? triesBeforeLock});
    return {
      connection,
      mode: String(connection.value('PRAGMA main.journal_mode')),
      ...('obstacle' in found
        ? {image: undefined, obstacle: found.obstacle}
        : {image: imageOf(connection, path, found, options.signal)}),
      confirm: () => confirm(connection, path, {found, signal: options.signal}),
      close: () => opened.close(),
    };
  } catch (error) {
    opened.close();
    throw error;
  }
}

type Obstacle = {obstacle: unknown};
/** `log`: absent if the file alone has the content. */
type Found = {file: number; log?: Log; watch: Watch};

const inodeAt = (path: string) => inodeOf(statSync(path, {bigint: true}));

/** Opens the file that SQLite has open. @param before the inode of the path before SQLite opened it */
function openBeside(opened: Opened, path: string, before: string): number | Obstacle {
  try {
    const file = opened.file(path);
    file.hold();
    if (file.inode === before && inodeAt(path) === before) return file.descriptor;
    return {obstacle: new Replaced(path)};
  } catch (error) {
    return {obstacle: error};
  }
}

/** Whatever the result, the connection is in a transaction afterwards. */
async function findMoment(
  opened: Opened,
  connection: Connection,
  path: string,
  {file, hasLog, tries}: {file: number | Obstacle; hasLog: boolean; tries: number},
): Promise<Found | Obstacle> {
  if (typeof file !== 'number') return file;
  try {
    const log = hasLog ? await logAtMoment(opened, connection, path, tries) : undefined;
    const pageBytes = connection.number('PRAGMA main.page_size');
    const watched = {file, pageBytes};
    if (log === undefined) return {file, watch: opened.uses(await watch(watched))};
    const index = opened.file(`${path}-shm`);
    index.hold();
    return {file, log, watch: opened.uses(await watch({...watched, log, index: index.descriptor}))};
  } catch (obstacle) {
    connection.rollback();
    begin(connection);
    return {obstacle};
  }
}

function imageOf(connection: Connection, path: string, {file, log}: Found, signal?: AbortSignal): Image {
  const pageBytes = connection.number('PRAGMA main.page_size');
  const pages = connection.number('PRAGMA main.page_count');
  let files: Promise<ImageFiles> | undefined;
  const open = async (): Promise<ImageFiles> => {
    if (log === undefined) return {file, pageBytes, pages};
    const frames = await readFrames(log.file, path, {frames: log.frames, pageBytes, pages, signal});
    return {file, wal: log.file, frames, pageBytes, pages};
  };
  const image: Image = {
    pageBytes,
    pages,
    files: () => (files ??= open()),
    async *read(blockBytes) {
      yield* readBlocks(await image.files(), blockBytes);
    },
  };
  return image;
}

async function confirm(
  connection: Connection,
  path: string,
  {found, signal}: {found: Found | Obstacle; signal: AbortSignal | undefined},
): Promise<void> {
  const cause = connection.inTransaction ? await whyChanged(found, signal) : undefined;
  if (connection.inTransaction && cause === undefined) return;
  throw new BkpError('SOURCE_UNAVAILABLE', `${path} changed while it was read`, {
    cause,
    next: 'take the backup again; no program may write, replace or remove these files without the locks of SQLite',
  });
}

/** In words, which program broke SQLite's rules; undefined if none was seen. */
async function whyChanged(found: Found | Obstacle, signal: AbortSignal | undefined): Promise<string | undefined> {
  return 'obstacle' in found ? undefined : found.watch.whyChanged(signal);
}

class Replaced extends BkpError {
  constructor(path: string) {
    super('SOURCE_UNAVAILABLE', `${path} was replaced by another file just now`, {
      next: 'take the backup again',
      retryable: true,
    });
  }
}
