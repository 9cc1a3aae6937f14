import type {Stats} from 'node:fs';
import {lstat, readlink, stat} from 'node:fs/promises';
import {BkpError, systemCode} from '../../errors/index.ts';
import {shellQuoted} from '../../lib/text.ts';
import type {Key} from '../store.ts';

/** @returns what is at `path`, in words, if it is there but is not a file, and no link to one */
export async function obstacleAt(path: string): Promise<string | undefined> {
  const facts = await lstat(path).catch(() => undefined);
  if (facts === undefined || facts.isFile()) return undefined;
  return facts.isSymbolicLink() ? linkAt(path) : kindOf(facts);
}

async function linkAt(path: string): Promise<string | undefined> {
  const to = await readlink(path).catch(() => 'another place');
  try {
    const facts = await stat(path);
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

/**
 * Something else is in the place of an object: a copy program, a repair of the file system or a mount put it there.
 * @param what is there, in words; `a file` in the place of the object's folder
 */
export function objectObstructed(key: Key, path: string, what: string): BkpError {
  const expected = what === 'a file' ? 'a folder' : 'a file';
  return new BkpError('OBJECT_DAMAGED', `${key} is damaged: ${path} is ${what}, not ${expected}`, {
    next:
      `move it out of the store (mv ${shellQuoted(path)} /tmp/), and put the file back from a copy of the store; ` +
      'without one, VERIFY says what is lost',
    context: {key, path},
  });
}
