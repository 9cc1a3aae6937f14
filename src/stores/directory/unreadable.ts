import type {Dirent} from 'node:fs';
import {open, readdir} from 'node:fs/promises';
import {constants} from 'node:os';
import {join} from 'node:path';
import {systemCode} from '../../errors/index.ts';
import {systemRandom} from '../../lib/clock.ts';
import type {readFully} from '../../lib/files.ts';

/** Replaces `readFully` in tests of disks that do not return what they hold. */
export type Read = typeof readFully;

/** So many other objects are tried; each takes a failing disk seconds. */
const othersTried = 8;

/** Node has no names for some of them. `EUCLEAN`, Linux only: the file system found itself inconsistent. */
const euclean = 117;
const mediumErrors: ReadonlySet<number | undefined> = new Set([
  constants.errno.EIO,
  constants.errno.EBADMSG,
  constants.errno.ENODATA,
  ...(process.platform === 'linux' ? [euclean] : []),
]);

/** The disk answered, and said that it cannot return these bytes: they, or all of the disk, are lost. */
export function isMediumError(error: unknown): boolean {
  if (['EIO', 'EBADMSG', 'EUCLEAN', 'ENODATA'].includes(systemCode(error) ?? '')) return true;
  const {errno} = error as {errno?: unknown};
  return typeof errno === 'number' && mediumErrors.has(-errno);
}

/**
 * Whether the store can be read apart from one file: then that file is damaged, and otherwise the disk is away. Other
 * files are tried at random, and a byte at a random place of each, because the system still returns what it read
 * recently from a disk that is away.
 */
export async function isReadableBut(file: string, root: string, read: Read): Promise<boolean> {
  let tried = 0;
  for await (const other of filesAtRandom(root)) {
    if (other === file) continue;
    const isReadable = await hasReadableByte(other, read);
    if (isReadable) return true;
    if (isReadable === undefined) continue;
    tried += 1;
    if (tried === othersTried) return false;
  }
  return false;
}

async function* filesAtRandom(folder: string): AsyncGenerator<string> {
  const entries: Dirent[] = await readdir(folder, {withFileTypes: true}).catch(() => []);
  for (const entry of shuffled(entries)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesAtRandom(path);
    else if (entry.isFile()) yield path;
  }
}

/** @returns undefined if the file says nothing: it is empty, or was removed */
async function hasReadableByte(path: string, read: Read): Promise<boolean | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const {size} = await handle.stat();
      if (size === 0) return undefined;
      return (await read(handle.fd, Buffer.alloc(1), Math.floor(systemRandom() * size))) === 1;
    } finally {
      await handle.close();
    }
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? undefined : false;
  }
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((item) => ({item, at: systemRandom()}))
    .sort((a, b) => a.at - b.at)
    .map(({item}) => item);
}
