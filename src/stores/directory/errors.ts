import {BkpError, systemCode} from '../../errors/index.ts';

/** An error of the file system below `root` as one of ours, with what to do about it. */
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
        next: `free space there (df -h ${root}), then try again: what is written already is used again`,
      });
    case 'EROFS':
      return unavailable(`${root} is mounted read-only: mount it for writing, or choose another folder`);
    case 'EACCES':
    case 'EPERM':
      return unavailable(`give this user the right to read and write ${root} (ls -ld ${root})`);
    case 'ENOTDIR':
      return new BkpError(
        'STORE_REFUSED',
        `the store fs::root=${root} is not a folder, or holds a file where a folder belongs`,
        {
          cause: error,
          next: 'choose a folder of its own for the store',
        },
      );
    case 'ENOENT':
      return unavailable(`${root} is gone: is its disk mounted? (ls -ld ${root})`);
    case 'EMFILE':
    case 'ENFILE':
      return unavailable('too many files are open: raise the limit (ulimit -n), or try again later', true);
    default:
      return unavailable(`look at the disk that holds ${root} (dmesg, df ${root})`);
  }
}
