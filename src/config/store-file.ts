import {readFileSync} from 'node:fs';
import {BkpError, systemCode} from '../errors/index.ts';

/** Far more than the longest session token; a file of another kind is noticed before all of it is taken for a value. */
const mostBytes = 64 * 1024;

/**
 * The text that a file holds for a setting, without white space around it.
 * @param name the variable that names the file, for messages
 * @throws BkpError `USAGE` (missing, a folder, empty, too large) | `CONFIG_UNAVAILABLE`
 */
export function readValueFile(file: string, name: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw wrong(`the file ${file} is not there`);
    if (code === 'EISDIR') throw wrong(`${file} is a folder, not a file`);
    throw new BkpError('CONFIG_UNAVAILABLE', `the file ${file} cannot be read`, {
      cause: error,
      next: `let the user who runs bkp read it: chmod 600, and chown; or unset ${name}`,
    });
  }
  const value = text.trim();
  if (value === '') throw wrong(`the file ${file} is empty`);
  if (Buffer.byteLength(text) > mostBytes) throw wrong(`the file ${file} is too large to hold a setting`);
  return value;

  function wrong(message: string): BkpError {
    return new BkpError('USAGE', message, {next: `name a file that holds the value, or unset ${name}`});
  }
}
