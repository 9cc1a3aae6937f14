import {resolve} from 'node:path';
import {BkpError} from '../../errors/index.ts';

/**
 * @param cwd the directory that a relative path starts from
 * @param what the setting that holds the path, for the message
 * @throws BkpError `USAGE` for a leading `~`: only a shell expands it, and only at the start of a word
 */
export function absolutePath(path: string, cwd: string, what: string): string {
  refuseTilde(path, what);
  return resolve(cwd, path);
}

/** @throws BkpError `USAGE`, as {@link absolutePath} */
export function refuseTilde(path: string, what: string): void {
  if (!/^~(?=[\\/]|$)/.test(path)) return;
  throw new BkpError('USAGE', `${what}: ~ does not stand for a folder here`, {
    next: 'write the folder out, or use $HOME',
  });
}
