import {statSync} from 'node:fs';
import {dirname, sep} from 'node:path';
import {BkpError, systemCode} from '../../errors/index.ts';
import {shellQuoted} from '../../lib/text.ts';

/** Turns an error of the file system below `root` into a BkpError with a next step. */
export function directoryError(error: unknown, root: string, doing: string): unknown {
  if (error instanceof BkpError) return error;
  const code = systemCode(error);
  if (code === undefined) return error;
  const unavailable = (next: string, retryable = false) =>
    new BkpError('STORE_UNAVAILABLE', `the store fs::root=${root} could not ${doing}`, {cause: error, next, retryable});
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new BkpError('STORE_FULL', `the store fs::root=${root} is full`, {
        cause: error,
        next: `free space there (df -h ${root}), then try again: data that is already written is reused`,
      });
    case 'EROFS':
      return unavailable(`${root} is mounted read-only: remount it writable, or choose another folder`);
    case 'EACCES':
    case 'EPERM':
      return unavailable(withoutRight(root, (error as NodeJS.ErrnoException).path));
    case 'ENOTDIR':
      return new BkpError(
        'STORE_REFUSED',
        `the store fs::root=${root} is not a folder, or contains a file in place of a folder`,
        {
          cause: error,
          next: 'choose a folder that only the store uses',
        },
      );
    case 'ENOENT':
      return unavailable(`${root} does not exist: check that its disk is mounted (ls -ld ${root})`);
    case 'EMFILE':
    case 'ENFILE':
      return unavailable('too many files are open: raise the limit (ulimit -n), or try again later', true);
    default:
      return unavailable(`check the disk that holds ${root} (dmesg, df ${root})`);
  }
}

/** Names the folder or file below `root` that lacks the right, and the folder above it: one of both is at fault. */
function withoutRight(root: string, path: string | undefined): string {
  let shown = path?.startsWith(root + sep) ? path : root;
  while (shown !== root && !isSeen(shown)) shown = dirname(shown);
  const both = shown === root ? [root] : [dirname(shown), shown];
  return `let this user read and write ${shown} (ls -ld ${both.map(shellQuoted).join(' ')})`;
}

/** What is inside a folder that may not be searched is not seen, nor is a file that was to be written. */
function isSeen(path: string): boolean {
  try {
    return statSync(path, {throwIfNoEntry: false}) !== undefined;
  } catch {
    return false;
  }
}
