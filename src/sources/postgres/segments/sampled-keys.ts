import {columnList, type KeyColumn} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {lastKey} from './copy-text.ts';
import type {Bound} from './ranges.ts';
import {readRows} from './read-rows.ts';

/** Of the table's pages. */
const sampledPercent = 1;

/** Keys that divide a table into about `count` parts of equal size, ascending. */
export async function sampledKeys(
  connection: Connection,
  {from, key, count}: {from: string; key: readonly KeyColumn[]; count: number},
): Promise<readonly Bound[]> {
  const names = key.map((_, at) => `k${at}`).join(', ');
  const keys = columnList(key);
  const query = `
    SELECT ${names} FROM (
      SELECT ${keys}, row_number() OVER (ORDER BY ${keys}), count(*) OVER ()
      FROM ${from} TABLESAMPLE SYSTEM (${sampledPercent}) REPEATABLE (1)) s (${names}, number, total)
    WHERE number % (total / ${count} + 1) = 0 ORDER BY number`;
  const ends: Bound[] = [];
  for await (const {bytes, release} of readRows(connection, query, {segmentBytes: 1})) {
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(0x0a, at) + 1;
      ends.push(lastKey(bytes.subarray(at, end), key.length));
      at = end;
    }
    release();
  }
  return ends;
}
