import {accessSync, constants, readSync, statSync} from 'node:fs';
import {BkpError, systemCode} from '../../../errors/index.ts';
import {requireNoOtherLog} from './other-names.ts';
import {RawFile} from './raw-file.ts';

/**
 * Distinguishes the causes that SQLite reports as one "unable to open database file".
 * @throws BkpError `SOURCE_UNAVAILABLE`
 */
export function checkFile(path: string): void {
  try {
    const found = statSync(path);
    if (!found.isFile()) {
      const what = found.isDirectory() ? 'a directory' : 'no ordinary file';
      throw new BkpError('SOURCE_UNAVAILABLE', `${path} is ${what}, not a database`, {
        next: 'name the database file itself: sqlite::path=…/app.db',
      });
    }
    accessSync(path, constants.R_OK);
    requireNoOtherLog(path, found);
  } catch (error) {
    if (error instanceof BkpError) throw error;
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new BkpError('SOURCE_UNAVAILABLE', `there is no database at ${path}`, {
        cause: error,
        next: 'check the path of the source: bkp config get source',
      });
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new BkpError('SOURCE_UNAVAILABLE', `this user may not read ${path}`, {
        cause: error,
        next: `give the user the right: chmod u+r '${path}', and the right to enter its folders`,
      });
    }
    throw new BkpError('SOURCE_UNAVAILABLE', `${path} cannot be examined`, {
      cause: error,
      next: 'check the path and its disk',
    });
  }
}

/** Read from the file's header, for a file that SQLite cannot open; https://www.sqlite.org/fileformat2.html, 1.3. */
export function isInWalMode(path: string): boolean {
  const header = headerOf(path);
  return header !== undefined && header[18] === 2 && header[19] === 2;
}

/** The version of SQLite that wrote the file last, 3053004 for 3.53.4; undefined when the header does not have it. */
export function lastWriter(path: string): number | undefined {
  const version = headerOf(path)?.readUInt32BE(96);
  return version === 0 ? undefined : version;
}

function headerOf(path: string): Buffer | undefined {
  const header = Buffer.alloc(100);
  try {
    // Opening a pipe would wait for its other end.
    if (!statSync(path).isFile()) return undefined;
    const file = new RawFile(path);
    try {
      return readSync(file.descriptor, header, 0, header.length, 0) === header.length ? header : undefined;
    } finally {
      file.close();
    }
  } catch {
    return undefined;
  }
}
