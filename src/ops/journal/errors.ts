import {BkpError, systemCode} from '../../errors/index.ts';
import {moveAway, NotAFile} from '../../lib/plain-file.ts';

/** SQLite's result codes, without their extended part. Source: https://www.sqlite.org/rescode.html */
const Result = {busy: 5, locked: 6, readOnly: 8, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26} as const;

/** @returns SQLite's primary result code, when SQLite threw this error */
export function resultCode(error: unknown): number | undefined {
  if (systemCode(error) !== 'ERR_SQLITE_ERROR') return undefined;
  return (error as {errcode: number}).errcode & 0xff;
}

/** Whether another process held the journal longer than the busy timeout. */
export function isContention(error: unknown): boolean {
  const code = resultCode(error);
  return code === Result.busy || code === Result.locked;
}

/** Calls `work`; turns errors of SQLite, the file system or a damaged row into `JOURNAL_UNAVAILABLE`. */
export function guarded<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const refused =
      error instanceof SyntaxError ||
      error instanceof NotAFile ||
      resultCode(error) !== undefined ||
      isFileError(error);
    throw refused ? unavailable(file, error) : error;
  }
}

function isFileError(error: unknown): boolean {
  return (error as {syscall?: unknown} | null)?.syscall !== undefined;
}

function unavailable(file: string, cause: unknown): BkpError {
  return new BkpError('JOURNAL_UNAVAILABLE', `the journal ${file} cannot be used`, {
    cause,
    next: nextStep(file, cause),
    context: {file},
    retryable: isContention(cause),
  });
}

function nextStep(file: string, cause: unknown): string {
  const code = resultCode(cause);
  if (cause instanceof NotAFile) return replaceIt(cause.path);
  if (isContention(cause)) return 'another bkp has held the journal for seconds; try again';
  if (code === Result.full || systemCode(cause) === 'ENOSPC')
    return `free some space on the disk of ${file}, then try again`;
  if (code === Result.readOnly || code === Result.cannotOpen || isFileError(cause)) {
    return `make ${file} and its folder writable for you, or choose another home with --home or BKP_HOME`;
  }
  if (code === Result.corrupt || code === Result.notADatabase || cause instanceof SyntaxError) return replaceIt(file);
  return 'bkp doctor checks the home and prints details';
}

/** What runs writes to a journal that nobody reads any more. */
export function replaced(file: string): BkpError {
  return new BkpError('JOURNAL_UNAVAILABLE', `the journal ${file} was cut off while bkp used it`, {
    cause: 'its operations are lost; a backup that was running may exist, or still be made',
    next: 'SHOW BACKUP COLLECTIONS shows the newest backups; give the statement again if its backup is not there',
    context: {file},
  });
}

/** Only the list of operations is lost with a journal: backups are in their store. */
export function replaceIt(file: string): string {
  return `move it away (${moveAway(file, 'damaged')}): bkp starts a new one, and no backup is lost with it`;
}
