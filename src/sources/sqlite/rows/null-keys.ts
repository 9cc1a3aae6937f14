import type {Segment} from '../../source.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import type {Table} from '../schema/table.ts';
import {nullKeys} from './boundary.ts';
import {rowShape, type SegmentMaker} from './segment.ts';

/**
 * Rows with a NULL in their key, in the order of their rowid: SQLite's primary keys may hold NULL, for
 * historical reasons, in any number of rows, which the key does not order.
 * @param only a further condition on the table `t`
 */
export async function* rowsWithNullKey(
  connection: Connection,
  maker: SegmentMaker,
  table: Table,
  only = '1',
): AsyncGenerator<Segment> {
  const {key} = table;
  const condition = nullKeys(key);
  if (condition === undefined) return;
  const {create, insert} = rowShape(table);
  const rowid = `t.${key.alias}`;
  const from = `FROM main.${quoteName(table.name)} AS t WHERE (${condition}) AND (${only})`;
  let after: Value | undefined;
  for (let limit = rowsAtOnce; ; ) {
    const rest = `${from}${after === undefined ? '' : ` AND ${rowid} > ?`} ORDER BY ${rowid} LIMIT ?`;
    const params = after === undefined ? [] : [after];
    const segment = maker.make({create, insert: `${insert} ${rest}`, params}, limit);
    if (segment.rows === 0) return;
    yield {bytes: segment.bytes, rows: segment.rows};
    if (!segment.full) return;
    limit = segment.limit;
    after = connection.value(`SELECT ${rowid} ${rest} OFFSET ?`, ...params, 1n, BigInt(segment.rows - 1));
  }
}

/** Such rows are rare. */
const rowsAtOnce = 5_000;
