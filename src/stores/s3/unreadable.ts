import {BkpError} from '../../errors/index.ts';
import {systemRandom} from '../../lib/clock.ts';
import type {Key} from '../store.ts';
import type {S3Connection} from './connection/connection.ts';
import {listObjects} from './list.ts';

/** So many keys are listed, one page, and so many of them are read. */
const listed = 1000;
const othersTried = 3;

/**
 * Whether the server returns the first byte of another object of the store: then an object that it does not return is
 * damaged, and otherwise the store is away.
 * @param readFirst reads the first byte, and does not try for long
 */
export async function isReadableBut(
  key: Key,
  {connection, rootPrefix}: {connection: S3Connection; rootPrefix: string},
  readFirst: (other: Key) => Promise<unknown>,
): Promise<boolean> {
  try {
    const others: Key[] = [];
    let seen = 0;
    for await (const found of listObjects(connection, rootPrefix, '')) {
      if (found.key !== key && found.sizeBytes > 0) others.push(found.key);
      seen += 1;
      if (seen === listed) break;
    }
    for (let tried = 0; tried < othersTried && others.length > 0; tried++) {
      const [other] = others.splice(Math.floor(systemRandom() * others.length), 1);
      const isRead = await readFirst(other!).then(
        () => true,
        () => false,
      );
      if (isRead) return true;
    }
    return false;
  } catch (error) {
    if (error instanceof BkpError) return false;
    throw error;
  }
}
