import {closeSync, linkSync, lstatSync, openSync, readlinkSync, renameSync, statSync} from 'node:fs';
import {BkpError, systemCode} from '../../../errors/index.ts';
import {shellQuoted} from '../../../lib/text.ts';
import {translated} from '../engine/errors.ts';

/** False also for a link that leads nowhere: {@link requireFreeName} tells the two apart. */
export function isFileThere(path: string): boolean {
  try {
    return statSync(path, {throwIfNoEntry: false}) !== undefined;
  } catch (error) {
    if (systemCode(error) === 'ELOOP') return false;
    throw error;
  }
}

/**
 * To be called before anything is loaded, if there is no database at `target`.
 * @throws BkpError `PRECONDITION` if something is in the way nevertheless
 */
export function requireFreeName(target: string): void {
  if (lstatSync(target, {throwIfNoEntry: false})?.isSymbolicLink()) {
    const to = readlinkSync(target);
    throw new BkpError('PRECONDITION', `${target} is a link to ${to}, where nothing is`, {
      cause: 'a restored file does not replace a link: the disk behind it may be missing',
      next: `rm ${shellQuoted(target)}; or restore to the file that it should lead to`,
    });
  }
  requireNoStrayJournal(target);
}

/** SQLite would apply a left-over journal or WAL to any database that is created next to it. */
export function requireNoStrayJournal(target: string): void {
  for (const end of ['-wal', '-journal']) {
    const stray = statSync(target + end, {throwIfNoEntry: false});
    if (stray === undefined || stray.size === 0) continue;
    throw new BkpError('PRECONDITION', `${target + end} exists without its database`, {
      cause: 'SQLite would apply it to the restored file and damage it',
      next: `move it away: mv '${target}${end}' '${target}${end}.old'`,
    });
  }
}

/**
 * Gives a restored file its final name, and never replaces a file that appeared there meanwhile. The staged name may
 * remain as a second one.
 * @param restored what was restored, for the message: `its tables were`, `its backup was`
 * @throws BkpError `TABLE_EXISTS` when there is a file by now
 */
export function placeNewFile(staged: string, target: string, restored: string): void {
  try {
    try {
      linkSync(staged, target);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw error;
      // Not every file system has links. There an empty file reserves the name until it is replaced.
      closeSync(openSync(target, 'wx'));
      renameSync(staged, target);
    }
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw translated(error, target);
    throw new BkpError('TABLE_EXISTS', `path exist: ${target} appeared while ${restored} restored`, {
      next: 'find out which program created it; then restore again',
    });
  }
}
