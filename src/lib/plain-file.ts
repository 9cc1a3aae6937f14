import {lstatSync, readFileSync, readlinkSync, type Stats, statSync} from 'node:fs';
import {systemCode} from '../errors/index.ts';
import {shellQuoted} from './text.ts';

/**
 * Something else is in the place of a file that bkp reads or writes by itself: its configuration, the journal, a log, a
 * cache, a note. Opening a named pipe would wait for its other end for ever, and a device swallows what is written.
 * Files that users name for bkp to read (a password, statements) may be pipes.
 */
export class NotAFile extends Error {
  readonly path: string;

  constructor(path: string, what: string) {
    super(`${path} is ${what}, not a file`);
    this.path = path;
  }
}

/** The command that moves it away. */
export const moveAway = (path: string, ending = 'other') =>
  `mv ${shellQuoted(path)} ${shellQuoted(`${path}.${ending}`)}`;

/** @returns what is at `path`, in words, if it is there but is not a file, and no link to one */
export function obstacleAt(path: string): string | undefined {
  const facts = attempt(() => lstatSync(path));
  if (facts === undefined || facts.isFile()) return undefined;
  return facts.isSymbolicLink() ? linkAt(path) : kindOf(facts);
}

/** @throws NotAFile; a file, a link to one, and nothing at all are fine */
export function requirePlainFile(path: string): void {
  const obstacle = obstacleAt(path);
  if (obstacle !== undefined) throw new NotAFile(path, obstacle);
}

/** The text of a file. @throws NotAFile, and what the file system throws */
export function readPlainFile(path: string): string {
  requirePlainFile(path);
  return readFileSync(path, 'utf8');
}

function linkAt(path: string): string | undefined {
  const to = attempt(() => readlinkSync(path)) ?? 'another place';
  try {
    const facts = statSync(path);
    return facts.isFile() ? undefined : `a link to ${to}, which is ${kindOf(facts)}`;
  } catch (error) {
    if (systemCode(error) === 'ELOOP') return 'a link that leads back to itself';
    return `a link to ${to}, which ${systemCode(error) === 'ENOENT' ? 'does not exist' : 'cannot be reached'}`;
  }
}

function kindOf(facts: Stats): string {
  if (facts.isDirectory()) return 'a folder';
  if (facts.isFIFO()) return 'a named pipe';
  return facts.isSocket() ? 'a socket' : 'a device';
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
