import {DatabaseSync} from 'node:sqlite';
import {BkpError} from '../../../errors/index.ts';
import type {Value} from '../engine/connection.ts';
import {boundaryColumns} from './boundary.ts';

/**
 * The keys of a segment of keys. A segment cannot be attached to a connection within a transaction, so its keys are
 * read here and bound there one by one.
 * @param encoding of the database that the keys are bound in
 * @returns storage class and value of each part of a key in turn; texts as their bytes
 * @throws BkpError `OBJECT_DAMAGED`
 */
export function* keysOf(segment: Uint8Array, columns: readonly string[], encoding: string): Generator<Value[]> {
  const db = new DatabaseSync(':memory:');
  try {
    db.deserialize(segment);
    // Bytes of a text in one encoding would be another text in the other.
    const own = Object.values(db.prepare('PRAGMA encoding').get() ?? {})[0];
    if (own !== encoding) throw new Error(`it is ${own}, and the database is ${encoding}`);
    const select = db.prepare(`SELECT ${boundaryColumns(columns)} FROM keys`);
    select.setReadBigInts(true);
    select.setReturnArrays(true);
    for (const row of select.iterate()) yield row as unknown as Value[];
  } catch (error) {
    throw new BkpError('OBJECT_DAMAGED', 'a segment of keys cannot be read', {
      cause: error,
      next: 'take a full backup: it needs nothing of the backups before',
    });
  } finally {
    db.close();
  }
}
