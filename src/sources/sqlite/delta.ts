import type {DeltaStream, Segment} from '../source.ts';
import {collated, keyColumns, keyMatches, nullable} from './boundary.ts';
import type {Connection, Value} from './connection.ts';
import {rowsWithNullKey} from './null-keys.ts';
import {quoteName} from './quote.ts';
import {keyShape, rowShape, type SegmentMaker, targetBytes} from './segment.ts';
import {keyAffinity, type Table} from './table.ts';
import {logName} from './triggers.ts';

/** Keys in one segment, and those that rows are looked up for at once: a delta is small, and they are found one by one. */
const keysAtOnce = 50_000;
const rowsAtOnce = 5_000;
const largestRowid = 2n ** 63n - 1n;

/**
 * Every key in the log after `since`, each once, and the rows they have now. The work grows with the log, not with
 * the table.
 */
export function deltaOf(connection: Connection, maker: SegmentMaker, table: Table, since: bigint): DeltaStream {
  const {key} = table;
  const columns = keyColumns(key);
  const touched = `temp.${quoteName(`touched_${table.name}`)}`;
  let count = 0;

  function collect(): void {
    // Keys that the primary key's index takes for one are one here too, else their row would come twice: as the key's
    // columns store them, because triggers can see a key in another form, and as its collations compare them.
    const typed = columns.map((column, part) => `${column} ${keyAffinity(table, part)}`);
    const groups = columns.map((column, part) => collated(key, part, column)).join(', ');
    connection.exec(
      `DROP TABLE IF EXISTS ${touched}; CREATE TABLE ${touched} (n INTEGER PRIMARY KEY, ${typed.join(', ')}, UNIQUE (${groups}))`,
    );
    const logged = `SELECT ${columns.join(', ')} FROM main.${quoteName(logName(table.name))} WHERE seq > ?1`;
    const into = `INSERT OR IGNORE INTO ${touched} (${columns.join(', ')})`;
    if (key.kind === 'columns') {
      count = connection.run(`${into} ${logged} GROUP BY ${groups} ORDER BY ${groups}`, since);
      return;
    }
    // A new row with the key -1 looks to the triggers like one whose key SQLite has yet to choose.
    const top = lowestTop(connection, table, since);
    const others = `SELECT ${key.alias} FROM main.${quoteName(table.name)} WHERE ${key.alias}`;
    count = connection.run(
      `${into} ${logged} AND k0 IS NOT NULL UNION ${others} > ?2 UNION ${others} = -1 ORDER BY 1`,
      since,
      top,
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
    const matches = keyMatches(key);
    const nulls = nullable(key).map((part) => `k.k${part} IS NULL`);
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

/**
 * @returns why the log may lack keys, in words; undefined when it has them all. While a row has the largest rowid, SQLite
 * gives new ones random rowids, and these need not be above the others.
 * https://www.sqlite.org/autoinc.html, "Background"
 */
export function unknownKeys(connection: Connection, table: Table, since: bigint): string | undefined {
  const {key} = table;
  const log = `main.${quoteName(logName(table.name))}`;
  if (key.kind === 'rowid') {
    const found = connection.get(
      `SELECT 1 FROM main.${quoteName(table.name)} WHERE ${key.alias} = ?2
       UNION ALL SELECT 1 FROM ${log} WHERE seq >= ?1 AND ?2 IN (k0, above) LIMIT 1`,
      since,
      largestRowid,
    );
    return found && 'it has had the largest possible rowid, so SQLite chooses random ones';
  }
  const nulls = key.parts.flatMap(({notNull}, part) => (notNull ? [`k${part} IS NULL`] : []));
  if (nulls.length === 0) return undefined;
  const found = connection.get(`SELECT 1 FROM ${log} WHERE seq > ? AND (${nulls.join(' OR ')}) LIMIT 1`, since);
  return found && 'a NULL in a key may have given way to a default that is another value each time';
}

/**
 * The smallest value that the table's largest key can have had since the mark: every row above it has come since.
 *
 * The mark holds the largest key of its moment. While that row stays, the top is no lower. When it goes, the log has
 * the key that was next below then; while that one stays, the top is no lower; and so on.
 */
function lowestTop(connection: Connection, table: Table, since: bigint): Value {
  const log = `main.${quoteName(logName(table.name))}`;
  const marked = connection.value(`SELECT above FROM ${log} WHERE seq = ?`, since) ?? null;
  const gone = `SELECT k0, above FROM ${log} WHERE seq > ?1 AND above IS NOT NULL AND k0 IS NOT NULL`;
  if (connection.get(`${gone} AND k0 = ?2 LIMIT 1`, since, marked) === undefined) return marked;
  const next = `temp.${quoteName(`next_${table.name}`)}`;
  connection.exec(
    `DROP TABLE IF EXISTS ${next}; CREATE TABLE ${next} (k0, above, PRIMARY KEY (k0, above)) WITHOUT ROWID`,
  );
  connection.run(`INSERT OR IGNORE INTO ${next} ${gone}`, since);
  const lowest = connection.value(
    `WITH RECURSIVE low (top) AS (VALUES (?) UNION SELECT above FROM low JOIN ${next} ON k0 = top) SELECT min(top) FROM low`,
    marked,
  );
  connection.exec(`DROP TABLE ${next}`);
  return lowest!;
}
