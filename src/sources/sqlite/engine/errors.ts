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

/** What the system says of a file, in SQLite's words. */
const systemResult: Readonly<Record<string, number>> = {
  ENOSPC: ResultCode.full,
  EDQUOT: ResultCode.full,
  EIO: ResultCode.ioError,
  EROFS: ResultCode.readOnly,
  EACCES: ResultCode.readOnly,
  EPERM: ResultCode.readOnly,
};

/** What SQLite or the system threw, as the error of bkp that says what to do; anything without a known cause stays as it is. */
export function translated(error: unknown, path: string): unknown {
  if (error instanceof BkpError) return error;
  const because = {cause: error, context: {path}};
  switch (resultCode(error) ?? systemResult[systemCode(error) ?? '']) {
    case ResultCode.busy:
    case ResultCode.locked:
      return new BkpError('SOURCE_LOCKED', `the database ${path} stays locked by another process`, {
        ...because,
        next: 'let the other program finish its transaction, then try again',
        retryable: true,
      });
    case ResultCode.corrupt:
      return new BkpError('SOURCE_DAMAGED', `the database ${path} is damaged`, {
        ...because,
        next: `look at it with: sqlite3 '${path}' 'PRAGMA integrity_check'`,
      });
    case ResultCode.notADatabase:
      return new BkpError('SOURCE_UNAVAILABLE', `${path} is not an SQLite database, or it is an encrypted one`, {
        ...because,
        next: 'check the path; an encrypted database has to be decrypted first, bkp cannot tell the two apart',
      });
    case ResultCode.full:
      return new BkpError('SOURCE_FULL', `no space is left on the disk of ${path}`, {
        ...because,
        next: 'free some space there (or where temporary files lie), then try again',
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
        next: 'look at the disk and at the system log',
      });
    case ResultCode.noMemory:
      return new BkpError('SOURCE_UNAVAILABLE', `not enough memory to work on ${path}`, {
        ...because,
        next: 'a single row has to fit into memory a few times; free some memory',
        retryable: true,
      });
    default:
      return error;
  }
}

/**
 * Readers and writers in WAL mode find each other through files beside the database. Whoever may not make them could
 * only read as if nobody wrote, and would get a torn copy when somebody does.
 */
export function walFolderError(cause: unknown, path: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `${path} is in WAL mode, and this user may not write its folder`, {
    cause,
    context: {path},
    next: `give this user the right to write the folder, or leave WAL mode: sqlite3 '${path}' 'PRAGMA journal_mode = DELETE'`,
  });
}
