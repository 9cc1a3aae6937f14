import {assert} from '../../../errors/index.ts';
import type {Changes, DeltaStream, Segment} from '../../source.ts';
import {columnList, sameKey, type TableColumns} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {readRows, startReading} from '../segments/read-rows.ts';
import {changedKeys, type MarkRow, sinceCondition} from '../tracking/marks.ts';
import {logColumns, logOf} from '../tracking/objects.ts';

const segmentBytes = 1024 * 1024;

export type TableChanges = {
  oid: number;
  /** What stands behind FROM. */
  from: string;
  columns: TableColumns;
  row: MarkRow;
};

/** `stop` ends what the server still sends. */
export type TableChangesRead = Changes & {stop(): Promise<void>};

/** What the log has since a mark. The table in which keys are collected lasts until the end of the transaction. */
export async function changesSince(connection: Connection, table: TableChanges): Promise<TableChangesRead> {
  const {oid, row} = table;
  const logged = await connection.value(`SELECT count(*) FROM ${logOf(oid)} WHERE ${sinceCondition(row.snapshot)}`);
  let begun: {stop(): Promise<void>} | undefined;
  const read = (earlier: AsyncIterable<Uint8Array> | undefined): DeltaStream => {
    if (earlier !== undefined) return mergedDelta(connection, table, earlier);
    const own = ownDelta(connection, table);
    begun = own;
    return own.delta;
  };
  return {logged: Number(logged), read, stop: async () => begun?.stop()};
}

const rowsOf = ({from, columns: {key, columns}}: TableChanges, keys: string) =>
  `SELECT ${columnList(columns, 't.')} FROM ${from} t JOIN (${keys}) d ON ${sameKey(key)}`;

/** The server begins at once, so that it is busy while changes of other tables are taken. */
function ownDelta(connection: Connection, table: TableChanges): {delta: DeltaStream; stop(): Promise<void>} {
  const {oid, columns, row} = table;
  const {key} = columns;
  const changed = {keys: 0, rows: 0};
  const logged = changedKeys(oid, key, row);
  const keys = startReading(connection, `${logged} ORDER BY ${logColumns(key)}`, {segmentBytes});
  const query = `${rowsOf(table, logged)} ORDER BY ${columnList(key, 't.')}`;
  const rows = keys.ended.then((isFree) => (isFree ? startReading(connection, query, {segmentBytes}) : undefined));
  async function* counted(of: 'keys' | 'rows', segments: AsyncIterable<Segment>): AsyncGenerator<Segment> {
    for await (const segment of segments) {
      changed[of] += segment.rows;
      yield segment;
    }
  }
  async function* countedRows(): AsyncGenerator<Segment> {
    const reading = await rows;
    assert(reading !== undefined, 'rows are taken after all keys were');
    yield* counted('rows', reading.segments);
  }
  return {
    delta: {keys: counted('keys', keys.segments), rows: countedRows(), changed: () => changed},
    stop: async () => {
      await keys.stop();
      await (await rows)?.stop();
    },
  };
}

/** Its keys are also those of earlier deltas. */
function mergedDelta(connection: Connection, table: TableChanges, earlier: AsyncIterable<Uint8Array>): DeltaStream {
  const {oid, columns, row} = table;
  const {key} = columns;
  const changed = {keys: 0, rows: 0};
  const names = logColumns(key);
  const collected = `pg_temp.bkp_keys_${oid}`;
  async function* keys(): AsyncGenerator<Segment> {
    await connection.run(`CREATE TEMP TABLE bkp_keys_${oid} ON COMMIT DROP AS ${changedKeys(oid, key, row)}`);
    changed.keys = Number(await connection.value(`SELECT count(*) FROM ${collected}`));
    changed.rows = Number(
      await connection.value(`SELECT count(*) FROM (${rowsOf(table, `SELECT ${names} FROM ${collected}`)}) r`),
    );
    await connection.copyIn(`COPY ${collected} FROM STDIN`, earlier);
    await connection.run(`ANALYZE ${collected}`);
    yield* readRows(connection, `SELECT DISTINCT ${names} FROM ${collected} ORDER BY ${names}`, {segmentBytes});
  }
  async function* rows(): AsyncGenerator<Segment> {
    const query = `${rowsOf(table, `SELECT DISTINCT ${names} FROM ${collected}`)} ORDER BY ${columnList(key, 't.')}`;
    yield* readRows(connection, query, {segmentBytes});
  }
  return {keys: keys(), rows: rows(), changed: () => changed};
}
