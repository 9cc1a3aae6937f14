import type {Changes, DeltaStream, Segment} from '../../source.ts';
import {columnList, sameKey, type TableColumns} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {readRows} from '../segments/read-rows.ts';
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

/** What the log has since a mark. The table in which keys are collected lasts until the end of the transaction. */
export async function changesSince(connection: Connection, table: TableChanges): Promise<Changes> {
  const {oid, row} = table;
  const logged = await connection.value(`SELECT count(*) FROM ${logOf(oid)} WHERE ${sinceCondition(row.snapshot)}`);
  return {logged: Number(logged), read: (earlier) => deltaOf(connection, table, earlier)};
}

function deltaOf(
  connection: Connection,
  {oid, from, columns: {key, columns}, row}: TableChanges,
  earlier: AsyncIterable<Uint8Array> | undefined,
): DeltaStream {
  const changed = {keys: 0, rows: 0};
  const names = logColumns(key);
  const collected = `pg_temp.bkp_keys_${oid}`;
  const logged = changedKeys(oid, key, row);
  const rowsOf = (keys: string) => {
    return `SELECT ${columnList(columns, 't.')} FROM ${from} t JOIN (${keys}) d ON ${sameKey(key)}`;
  };
  async function* keys(): AsyncGenerator<Segment> {
    if (earlier === undefined) {
      for await (const segment of readRows(connection, `${logged} ORDER BY ${names}`, {segmentBytes})) {
        changed.keys += segment.rows;
        yield segment;
      }
      return;
    }
    await connection.run(`CREATE TEMP TABLE bkp_keys_${oid} ON COMMIT DROP AS ${logged}`);
    changed.keys = Number(await connection.value(`SELECT count(*) FROM ${collected}`));
    changed.rows = Number(
      await connection.value(`SELECT count(*) FROM (${rowsOf(`SELECT ${names} FROM ${collected}`)}) r`),
    );
    await connection.copyIn(`COPY ${collected} FROM STDIN`, earlier);
    await connection.run(`ANALYZE ${collected}`);
    yield* readRows(connection, `SELECT DISTINCT ${names} FROM ${collected} ORDER BY ${names}`, {segmentBytes});
  }
  async function* rows(): AsyncGenerator<Segment> {
    const wanted = earlier === undefined ? logged : `SELECT DISTINCT ${names} FROM ${collected}`;
    const query = `${rowsOf(wanted)} ORDER BY ${columnList(key, 't.')}`;
    for await (const segment of readRows(connection, query, {segmentBytes})) {
      if (earlier === undefined) changed.rows += segment.rows;
      yield segment;
    }
  }
  return {keys: keys(), rows: rows(), changed: () => changed};
}
