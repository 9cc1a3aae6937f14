import {closeSync, openSync, readdirSync, readFileSync, readSync, realpathSync, type Stats, statSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {mountPoints} from '../../../lib/mount-points.ts';

// SQLite finds the write-ahead log and the rollback journal of a database by the name under which it was opened. Under
// another name of the same file (a hard link, the file mounted without its folder) it sees neither, and two programs
// that write under two names damage the file: https://www.sqlite.org/howtocorrupt.html, "Multiple links to the same
// file".

/**
 * @param found of the file at `path`, whatever links lead to it
 * @throws BkpError `SOURCE_UNAVAILABLE` if what was written last is in the log or journal beside another name
 */
export function requireNoOtherLog(path: string, found: Pick<Stats, 'dev' | 'ino' | 'nlink'>): void {
  if (found.nlink < 2) return;
  const real = realpathSync(path);
  const folder = dirname(real);
  const names = readdirSync(folder);
  for (const log of names) {
    const name = /^(.+)-(?:wal|journal)$/.exec(log)?.[1];
    if (name === undefined || name === basename(real) || !isSameFile(join(folder, name), found)) continue;
    if (!isInUse(join(folder, log))) continue;
    throw new BkpError('SOURCE_UNAVAILABLE', `${path} is a hard link to ${name}, and ${log} has its last changes`, {
      cause: 'SQLite finds the log of a database by its name: under another one, a backup lacks what is in it',
      next: `name the file as the application does: bkp config set source '${join(folder, name)}'`,
    });
  }
}

/** @param mounted proc_pid_mounts(5) @returns in words, why there may be a log or a journal beside another name */
export function otherNames(path: string, mounted: string = mountTable()): string | undefined {
  const nlink = statSync(path, {throwIfNoEntry: false})?.nlink;
  if (nlink === undefined) return undefined;
  if (nlink > 1) {
    return (
      `${path} has ${nlink} names (hard links): a backup lacks what the log beside another one has, and a program ` +
      'that writes under that name damages the file'
    );
  }
  if (!mountPoints(mounted).includes(realpathSync(path))) return undefined;
  return (
    `${path} is mounted without its folder: a backup lacks what is in the log of a program that opens the file ` +
    'elsewhere; mount the folder'
  );
}

function mountTable(): string {
  try {
    return readFileSync('/proc/self/mounts', 'utf8');
  } catch {
    // Other systems than Linux mount folders only.
    return '';
  }
}

function isSameFile(path: string, {dev, ino}: Pick<Stats, 'dev' | 'ino'>): boolean {
  const other = statSync(path, {throwIfNoEntry: false});
  return other?.dev === dev && other.ino === ino;
}

/** What a journal begins with while it is needed; https://www.sqlite.org/fileformat2.html#the_rollback_journal. */
const journalMagic = Buffer.from('d9d505f920a163d7', 'hex');

function isInUse(log: string): boolean {
  try {
    if (log.endsWith('-wal')) return statSync(log).size > 0;
    const begin = Buffer.alloc(journalMagic.length);
    const file = openSync(log, 'r');
    try {
      readSync(file, begin, 0, begin.length, 0);
    } finally {
      closeSync(file);
    }
    return begin.equals(journalMagic);
  } catch {
    // It was removed just now: its changes are in the file.
    return false;
  }
}
