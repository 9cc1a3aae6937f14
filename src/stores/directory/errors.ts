import {BkpError, systemCode} from '../../errors/index.ts';

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
      return unavailable(`let this user read and write ${root} (ls -ld ${root})`);
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
