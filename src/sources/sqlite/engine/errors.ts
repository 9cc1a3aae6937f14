import {BkpError, systemCode} from '../../../errors/index.ts';

/** Primary result codes, https://www.sqlite.org/rescode.html. */
export const ResultCode = {
  error: 1,
  busy: 5,
  locked: 6,
  noMemory: 7,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  constraint: 19,
  auth: 23,
  notADatabase: 26,
} as const;

/** SQLITE_IOERR_NOMEM and the like share their primary code in the low byte. */
export function resultCode(error: unknown): number | undefined {
  const code = (error as {errcode?: unknown} | null)?.errcode;
  return typeof code === 'number' ? code & 0xff : undefined;
}

/** Error codes of the operating system as SQLite's result codes. */
const systemResult: Readonly<Record<string, number>> = {
  ENOSPC: ResultCode.full,
  EDQUOT: ResultCode.full,
  EIO: ResultCode.ioError,
  EROFS: ResultCode.readOnly,
  EACCES: ResultCode.readOnly,
  EPERM: ResultCode.readOnly,
};

/**
 * An error of SQLite or the operating system as a BkpError with a next step; an unknown error is returned
 * unchanged.
 */
export function translated(error: unknown, path: string): unknown {
  if (error instanceof BkpError) return error;
  const because = {cause: error, context: {path}};
  if (systemCode(error) === 'EFBIG') {
    return new BkpError('SOURCE_FULL', `${path} would be larger than a file may be`, {
      ...because,
      next: 'raise the limit of this user (ulimit -f), or use another file system',
    });
  }
  switch (codeOf(error)) {
    case ResultCode.busy:
    case ResultCode.locked:
      return new BkpError('SOURCE_LOCKED', `the database ${path} stays locked by another process`, {
        ...because,
        next:
          'let the other program finish its transaction, then try again; close one that keeps its lock ' +
          '(PRAGMA locking_mode = EXCLUSIVE)',
        retryable: true,
      });
    case ResultCode.corrupt:
      return new BkpError('SOURCE_DAMAGED', `the database ${path} is damaged`, {
        ...because,
        next: `check it with: sqlite3 '${path}' 'PRAGMA integrity_check'`,
      });
    case ResultCode.notADatabase:
      return new BkpError('SOURCE_UNAVAILABLE', `${path} is not an SQLite database, or it is an encrypted one`, {
        ...because,
        next: 'check the path; an encrypted database has to be decrypted first, bkp cannot tell the two apart',
      });
    case ResultCode.full:
      return new BkpError('SOURCE_FULL', `no space is left on the disk of ${path}`, {
        ...because,
        next: 'free some space there (or where temporary files are stored), then try again',
      });
    case ResultCode.readOnly:
      return new BkpError(
        'PRECONDITION',
        `the database ${path} cannot be written: the file or its folder is read-only`,
        {
          ...because,
          next: 'give this user the right to write the file and its folder',
        },
      );
    case ResultCode.cannotOpen:
      return new BkpError('SOURCE_UNAVAILABLE', `the database ${path} cannot be opened`, {
        ...because,
        next: 'give this user the right to read and write the file and its folder',
      });
    case ResultCode.ioError:
      return new BkpError('SOURCE_UNAVAILABLE', `reading or writing ${path} failed`, {
        ...because,
        next: 'check the disk and the system log',
      });
    case ResultCode.noMemory:
      return new BkpError('SOURCE_UNAVAILABLE', `not enough memory to work on ${path}`, {
        ...because,
        next: 'free some memory, or raise the limit of this user (ulimit -v); it must hold a single row several times',
        retryable: true,
      });
    default:
      return error;
  }
}

/** SQLite's result code, or the one for an error of the system or of Node. */
function codeOf(error: unknown): number | undefined {
  // Node throws this for memory that threads share.
  if (error instanceof RangeError && error.message.includes('WebAssembly.Memory')) return ResultCode.noMemory;
  return resultCode(error) ?? systemResult[systemCode(error) ?? ''];
}

/**
 * Readers and writers in WAL mode coordinate through files next to the database. A user who may not create them
 * could only read as if no process wrote, and would get a torn copy when one does.
 */
export function walFolderError(cause: unknown, path: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `${path} is in WAL mode, and this user may not write its folder`, {
    cause,
    context: {path},
    next:
      `give this user the right to write the folder, or leave WAL mode: ` +
      `sqlite3 '${path}' 'PRAGMA journal_mode = DELETE'`,
  });
}
