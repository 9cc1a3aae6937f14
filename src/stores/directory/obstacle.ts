import {BkpError} from '../../errors/index.ts';
import {shellQuoted} from '../../lib/text.ts';
import type {Key} from '../store.ts';

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
