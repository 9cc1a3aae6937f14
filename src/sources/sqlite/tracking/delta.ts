import type {DeltaStream, Segment} from '../../source.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {collated, keyColumns, keyMatches, nullable} from '../rows/boundary.ts';
import {rowsWithNullKey} from '../rows/null-keys.ts';
import {keyShape, rowShape, type SegmentMaker, targetBytes} from '../rows/segment.ts';
import {keyAffinity, type Table} from '../schema/table.ts';
import {logName} from '../triggers/names.ts';
import {keysAtMark, largestRowid} from './marks.ts';

/** Keys in one segment, and keys whose rows are looked up per segment of rows; each row is found by its key. */
const keysAtOnce = 50_000;
const rowsAtOnce = 5_000;
/** A real number below every rowid. */
const belowAll = -1e19;

/**
 * Every key in the log after `since`, each once, and the rows that these keys have now. The cost depends on the
 * size of the log, not of the table.
 */
export function deltaOf(connection: Connection, maker: SegmentMaker, table: Table, since: bigint): DeltaStream {
  const {key} = table;
  const columns = keyColumns(key);
  const touched = `temp.${quoteName(`touched_${table.name}`)}`;
  let count = 0;

  function collect(): void {
    // Keys that are equal to the primary key's index are one key here too, else their row would appear twice.
    // They are converted as the key's columns store them, because triggers can see a key in another form, and
    // compared by its collations.
    const typed = columns.map((column, part) => `${column} ${keyAffinity(table, part)}`);
    const groups = columns.map((column, part) => collated(key, part, column)).join(', ');
    connection.exec(
      `DROP TABLE IF EXISTS ${touched}; CREATE TABLE ${touched} (n INTEGER PRIMARY KEY, ` +
        `${typed.join(', ')}, UNIQUE (${groups}))`,
    );
    const logged = `SELECT ${columns.join(', ')} FROM main.${quoteName(logName(table.name))} WHERE seq > ?1`;
    const into = `INSERT OR IGNORE INTO ${touched} (${columns.join(', ')})`;
    if (key.kind === 'columns') {
      count = connection.run(`${into} ${logged} GROUP BY ${groups} ORDER BY ${groups}`, since);
      return;
    }
    // To the triggers, a new row with the key -1 looks like a row whose key SQLite has yet to choose.
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

/**
 * A value that the table's largest key was never below since the mark; every row above it may be new since then.
 * While a row of the time of the mark exists, the largest key is not smaller than its key.
 */
function lowestTop(connection: Connection, table: Table, since: bigint): Value {
  const keys = keysAtMark(connection, table.name, since);
  const gone = connection.all(
    `SELECT DISTINCT k0 FROM main.${quoteName(logName(table.name))}
     WHERE seq > ? AND gone = 1 AND k0 IN (SELECT value FROM json_each(?))`,
    since,
    `[${keys}]`,
  );
  const stayed = keys.filter((key) => gone.every(({k0}) => k0 !== key));
  return stayed.reduce<Value>((top, key) => (typeof top !== 'bigint' || key > top ? key : top), belowAll);
}
