import {readFileSync} from 'node:fs';
import {BkpError, systemCode} from '../errors/index.ts';

/** Far more than the longest session token. A larger file is not a file with a setting. */
const mostBytes = 64 * 1024;

/**
 * The value of a setting from a file, trimmed.
 * @param name the variable that names the file, for messages
 * @param options.isExact only one newline at the end is not a part of it
 * @throws BkpError `USAGE` (missing, a folder, empty, too large) | `CONFIG_UNAVAILABLE`
 */
export function readValueFile(file: string, name: string, {isExact = false} = {}): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw wrong(`the file ${file} does not exist`);
    if (code === 'EISDIR') throw wrong(`${file} is a folder, not a file`);
    throw new BkpError('CONFIG_UNAVAILABLE', `cannot read the file ${file}`, {
      cause: error,
      next: `make it readable for the user who runs bkp (chown, chmod 600), or unset ${name}`,
    });
  }
  const value = isExact ? text.replace(/\r?\n$/, '') : text.trim();
  if (value === '') throw wrong(`the file ${file} is empty`);
  if (Buffer.byteLength(text) > mostBytes) throw wrong(`the file ${file} is too large for a setting`);
  return value;

  function wrong(message: string): BkpError {
    return new BkpError('USAGE', message, {next: `name a file that contains the value, or unset ${name}`});
  }
}
