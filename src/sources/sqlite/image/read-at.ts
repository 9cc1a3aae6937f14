import {read} from 'node:fs';
import {promisify} from 'node:util';

const readOnce = promisify(read);

/**
 * Reads from `position` until `into` is full or the file ends.
 * @returns the number of bytes read
 */
export async function readAt(descriptor: number, into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const {bytesRead} = await readOnce(descriptor, into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
