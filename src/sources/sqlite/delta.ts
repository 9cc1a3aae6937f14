import type {DeltaStream, Segment} from '../source.ts';
import {collated, keyColumns, keyMatches, nullable} from './boundary.ts';
import type {Connection} from './connection.ts';
import {rowsWithNullKey} from './null-keys.ts';
import {quoteName} from './quote.ts';
import {keyShape, rowShape, type SegmentMaker, targetBytes} from './segment.ts';
import type {Table} from './table.ts';
import {logName} from './triggers.ts';

/** Keys in one segment, and those that rows are looked up for at once: a delta is small, and they are found one by one. */
const keysAtOnce = 50_000;
const rowsAtOnce = 5_000;

/**
 * Every key in the log after `since`, each once, and the rows they have now. The work grows with the log, not with
 * the table.
 */
export function deltaOf(connection: Connection, maker: SegmentMaker, table: Table, since: bigint): DeltaStream {
  const columns = keyColumns(table.key);
  const touched = `temp.${quoteName(`touched_${table.name}`)}`;
  let count = 0;

  function collect(): void {
    // Keys that the primary key's index takes for one are one here too: else their row would come twice.
    const groups = columns.map((column, part) => collated(table.key, part, column)).join(', ');
    connection.exec(
      `DROP TABLE IF EXISTS ${touched}; CREATE TABLE ${touched} (n INTEGER PRIMARY KEY, ${columns.join(', ')})`,
    );
    count = connection.run(
      `INSERT INTO ${touched} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM main.${quoteName(logName(table.name))}
       WHERE seq > ? GROUP BY ${groups} ORDER BY ${groups}`,
      since,
    );
  }

  async function* keys(): AsyncGenerator<Segment> {
    collect();
    const create = keyShape(columns);
    const insert = `INSERT INTO seg.keys SELECT ${columns.join(', ')} FROM ${touched} WHERE n > ? ORDER BY n LIMIT ?`;
    for (let done = 0; done < count; ) {
      const segment = maker.make({create, insert, params: [BigInt(done)]}, keysAtOnce);
      yield {bytes: segment.bytes, rows: segment.rows};
      done += segment.rows;
    }
  }

  async function* rows(): AsyncGenerator<Segment> {
    const {create, insert} = rowShape(table);
    const matches = keyMatches(table.key);
    const nulls = nullable(table.key).map((part) => `k.k${part} IS NULL`);
    const whole = nulls.length === 0 ? '' : ` AND NOT (${nulls.join(' OR ')})`;
    const text = `${insert} FROM ${touched} AS k CROSS JOIN main.${quoteName(table.name)} AS t ON ${matches}
      WHERE k.n > ?1 AND k.n <= ?1 + ?2${whole}`;
    let limit = rowsAtOnce;
    for (let done = 0; done < count; ) {
      const segment = maker.make({create, insert: text, params: [BigInt(done)]}, limit);
      if (segment.rows > 0) yield {bytes: segment.bytes, rows: segment.rows};
      done += segment.limit;
      limit = segment.bytes.byteLength * 2 <= targetBytes ? Math.min(segment.limit * 2, rowsAtOnce) : segment.limit;
    }
    if (nulls.length === 0 || connection.get(`SELECT 1 FROM ${touched} AS k WHERE ${nulls.join(' OR ')}`) === undefined)
      return;
    yield* rowsWithNullKey(connection, maker, table, `EXISTS (SELECT 1 FROM ${touched} AS k WHERE ${matches})`);
  }

  return {keys: keys(), rows: rows()};
}
