import type {Changes, DeltaStream, Segment} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {keyColumns, keyMatches, nullable} from '../rows/boundary.ts';
import {rowsWithNullKey} from '../rows/null-keys.ts';
import {keyShape, rowShape, type SegmentMaker, targetBytes} from '../rows/segment.ts';
import type {Table} from '../schema/table.ts';
import {logName} from '../triggers/names.ts';
import {keysAtMark, largestRowid} from './marks.ts';
import {TouchedKeys} from './touched-keys.ts';

/** Keys in one segment, and keys whose rows are looked up per segment of rows; each row is found by its key. */
const keysAtOnce = 50_000;
const rowsAtOnce = 5_000;

/**
 * Every key in the log after `since`, each once, and the rows that these keys have now. The cost depends on the
 * size of the log and of the earlier deltas, not of the table.
 */
export function changesOf(
  connection: Connection,
  maker: SegmentMaker,
  table: Table,
  {since, blocks}: {since: bigint; blocks?: (() => void) | undefined},
): Changes {
  const named = table.key.kind === 'rowid' ? ' AND k0 IS NOT NULL' : '';
  return {
    logged: connection.number(
      `SELECT count(*) FROM main.${quoteName(logName(table.name))} WHERE seq > ?${named}`,
      since,
    ),
    read: (earlier) => deltaOf(connection, maker, table, {since, earlier, blocks}),
  };
}

function deltaOf(
  connection: Connection,
  maker: SegmentMaker,
  table: Table,
  {
    since,
    earlier,
    blocks,
  }: {since: bigint; earlier: AsyncIterable<Uint8Array> | undefined; blocks: (() => void) | undefined},
): DeltaStream {
  const {key} = table;
  const columns = keyColumns(key);
  const matches = keyMatches(key);
  const nulls = nullable(key).map((part) => `k.k${part} IS NULL`);
  const whole = nulls.length === 0 ? '' : ` AND NOT (${nulls.join(' OR ')})`;
  const found = `FROM temp.${quoteName(`touched_${table.name}`)} AS k CROSS JOIN main.${quoteName(table.name)} AS t
    ON ${matches} WHERE k.n > ?1 AND k.n <= ?1 + ?2${whole}`;
  const touched = new TouchedKeys(connection, table, blocks);
  let changed = 0;
  let changedRows = 0;

  async function* keys(): AsyncGenerator<Segment> {
    changed = touched.addLogged(since);
    if (earlier !== undefined) await touched.addEarlier(earlier);
    const create = keyShape(columns);
    const insert = `INSERT INTO seg.keys SELECT ${columns.join(', ')} FROM ${touched.name}
      WHERE n > ? ORDER BY n LIMIT ?`;
    for (let done = 0; done < touched.count; ) {
      const segment = maker.make({create, insert, params: [BigInt(done)]}, keysAtOnce);
      yield {bytes: segment.bytes, rows: segment.rows};
      done += segment.rows;
    }
  }

  async function* rows(): AsyncGenerator<Segment> {
    const {create, insert} = rowShape(table);
    const text = `${insert} ${found}`;
    let limit = rowsAtOnce;
    for (let done = 0; done < touched.count; ) {
      // No segment has rows of logged keys, which come first and are counted, and of keys of earlier deltas.
      const isLogged = done < changed;
      const wanted = isLogged ? Math.min(limit, changed - done) : limit;
      const segment = maker.make({create, insert: text, params: [BigInt(done)]}, wanted);
      if (isLogged) changedRows += segment.rows;
      if (segment.rows > 0) yield {bytes: segment.bytes, rows: segment.rows};
      done += segment.limit;
      const isSmall = segment.bytes.byteLength * 2 <= targetBytes;
      if (segment.limit < wanted) limit = segment.limit;
      else if (isSmall && wanted === limit) limit = Math.min(limit * 2, rowsAtOnce);
    }
    const anyNull = `SELECT 1 FROM ${touched.name} AS k WHERE ${nulls.join(' OR ')}`;
    if (nulls.length === 0 || connection.get(anyNull) === undefined) return;
    yield* rowsWithNullKey(connection, maker, table, `EXISTS (SELECT 1 FROM ${touched.name} AS k WHERE ${matches})`);
  }

  return {keys: keys(), rows: rows(), changed: () => ({keys: changed, rows: changedRows})};
}

/**
 * @returns why the log may lack keys, in words; undefined when it is complete. While a row has the largest
 *   rowid, SQLite gives new rows random rowids, which need not be above the others.
 *   https://www.sqlite.org/autoinc.html, "Background"
 */
export function unknownKeys(connection: Connection, table: Table, since: bigint): string | undefined {
  const {key} = table;
  const log = `main.${quoteName(logName(table.name))}`;
  if (key.kind === 'rowid') {
    const found =
      keysAtMark(connection, table.name, since).includes(largestRowid) ||
      connection.get(
        `SELECT 1 FROM main.${quoteName(table.name)} WHERE ${key.alias} = ?2
         UNION ALL SELECT 1 FROM ${log} WHERE seq > ?1 AND k0 = ?2 LIMIT 1`,
        since,
        largestRowid,
      ) !== undefined;
    return found ? 'it has had the largest possible rowid, so SQLite chooses random ones' : undefined;
  }
  const nulls = key.parts.flatMap(({notNull}, part) => (notNull ? [`k${part} IS NULL`] : []));
  if (nulls.length === 0) return undefined;
  const found = connection.get(`SELECT 1 FROM ${log} WHERE seq > ? AND (${nulls.join(' OR ')}) LIMIT 1`, since);
  return found && 'a NULL in a key may have been replaced by a default whose value differs each time';
}
