import {fstatSync, type Stats, statSync} from 'node:fs';

type Files = typeof import('../../src/lib/files.ts');

/** A file that takes the number of a removed one is another one. */
const identity = ({ino, mtimeMs}: Stats) => `${ino} ${mtimeMs}`;

type Range = {start: number; end: number};

const unreadable = new Map<string, Range>();

/** The disk does not return these bytes of this file from now on, default all: a read of one fails with EIO. */
export function makeUnreadable(path: string, range: Range = {start: 0, end: Number.POSITIVE_INFINITY}): void {
  unreadable.set(identity(statSync(path)), range);
}

export const makeAllReadable = (): void => unreadable.clear();

/** For `vi.mock` of src/lib/files.ts. */
export function withUnreadable(files: Files): Files {
  const readFully: Files['readFully'] = async (descriptor, into, position) => {
    const range = unreadable.get(identity(fstatSync(descriptor)));
    if (range === undefined || position >= range.end || position + into.length <= range.start)
      return files.readFully(descriptor, into, position);
    throw Object.assign(new Error('EIO: i/o error, read'), {code: 'EIO', errno: -5, syscall: 'read'});
  };
  return {...files, readFully};
}
