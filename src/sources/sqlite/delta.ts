import type {DeltaStream, Segment} from '../source.ts';
import {collated, keyColumns, keyMatches} from './boundary.ts';
import type {Connection} from './connection.ts';
import {quoteName} from './quote.ts';
import {keyShape, rowShape, type SegmentMaker} from './segment.ts';
import type {Table} from './table.ts';
import {logName} from './triggers.ts';

/** Keys in one segment, rows in one: a delta is small, and its rows are found one by one. */
const keysAtOnce = 50_000;
const rowsAtOnce = 5_000;

const touched = 'temp._bkp_touched';

/**
 * Every key in the log after `since`, each once, and the rows they have now. The work grows with the log, not with
 * the table.
 */
export function deltaOf(connection: Connection, maker: SegmentMaker, table: Table, since: bigint): DeltaStream {
  const columns = keyColumns(table.key);
  const fill = () => {
    // Keys that the primary key's index takes for one are one here too: else their row would come twice.
    const groups = columns.map((column, part) => collated(table.key, part, column)).join(', ');
    connection.exec(
      `DROP TABLE IF EXISTS ${touched}; CREATE TABLE ${touched} (n INTEGER PRIMARY KEY, ${columns.join(', ')})`,
    );
    return connection.run(
      `INSERT INTO ${touched} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM main.${quoteName(logName(table.name))}
       WHERE seq > ? GROUP BY ${groups} ORDER BY ${groups}`,
      since,
    );
  };
  let count = 0;

  async function* keys(): AsyncGenerator<Segment> {
    count = fill();
    const create = keyShape(columns);
    const insert = `INSERT INTO seg.keys SELECT ${columns.join(', ')} FROM ${touched} WHERE n > ? ORDER BY n LIMIT ?`;
    for (let done = 0; done < count; ) {
      const segment = maker.make({create, insert, params: [BigInt(done)]}, keysAtOnce)!;
      yield {bytes: segment.bytes, rows: segment.rows};
      done += segment.rows;
    }
  }

  async function* rows(): AsyncGenerator<Segment> {
    const {create, insert} = rowShape(table);
    const text = `${insert} FROM ${touched} AS k CROSS JOIN main.${quoteName(table.name)} AS t ON ${keyMatches(table.key)}
      WHERE k.n > ? AND k.n <= ? + ?`;
    for (let done = 0; done < count; ) {
      const segment = maker.make({create, insert: text, params: [BigInt(done), BigInt(done)]}, rowsAtOnce);
      if (segment !== undefined) yield {bytes: segment.bytes, rows: segment.rows};
      done += segment?.limit ?? rowsAtOnce;
    }
  }

  return {keys: keys(), rows: rows()};
}
