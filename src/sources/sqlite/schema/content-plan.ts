import {addedValues, type StoredValue} from '../engine/added-value.ts';
import type {Connection} from '../engine/connection.ts';
import {affinity, type Column, recordedColumns, type Table} from './table.ts';

/** What assembly/pages/content.ts must know of a table to read the values of its records. */
export type ContentPlan = {
  columns: number;
  /** Whether a row's rowid is a value of it: in a table without a declared key. */
  withRowid: boolean;
  /** For each column flags, serial type and position of the value that short records have; then those values. */
  bytes: Uint8Array;
};

/** Enough for thousands of columns; a table with larger defaults has no plan. */
export const mostPlanBytes = 64 * 1024;

const columnBytes = 16;
const flags = {real: 1, rowid: 2, numberKey: 4, textKey: 8};
/** What the module may read beyond a value. */
const slack = 16;

/** @returns undefined if the plan would be too large */
export function contentPlan(connection: Connection, table: Table): ContentPlan | undefined {
  const columns = storedColumns(connection, table);
  const {key} = table;
  const rowid = key.kind === 'rowid' ? key.column : undefined;
  const values = valuesOfShortRecords(connection, table, columns);
  const size = columns.length * columnBytes + values.reduce((sum, {bytes}) => sum + bytes.length, 0) + slack;
  if (size > mostPlanBytes) return undefined;
  const bytes = Buffer.alloc(size);
  let at = columns.length * columnBytes;
  for (const [position, column] of columns.entries()) {
    const value = values[position]!;
    const flag = column.name === rowid ? flags.rowid : affinity(table, column) === 'REAL' ? flags.real : 0;
    bytes.writeUInt32LE(flag | keyFlag(table, column), position * columnBytes);
    bytes.writeUInt32LE(serialType(value), position * columnBytes + 4);
    bytes.writeUInt32LE(at, position * columnBytes + 8);
    bytes.set(value.bytes, at);
    at += value.bytes.length;
  }
  return {columns: columns.length, withRowid: key.kind === 'rowid' && rowid === undefined, bytes};
}

/** Which values of a key `requireKeyTypes` must see. */
function keyFlag(table: Table, column: Column): number {
  if (table.key.kind === 'rowid' || table.key.parts.every((part) => part.column !== column.name)) return 0;
  const stored = affinity(table, column);
  return stored === 'BLOB' ? 0 : stored === 'TEXT' ? flags.textKey : flags.numberKey;
}

/** In the order of a record: WITHOUT ROWID, the key comes first. */
export function storedColumns(connection: Connection, table: Table): readonly Column[] {
  if (!table.withoutRowid) return recordedColumns(table);
  const names = connection.all(
    `SELECT x.name FROM pragma_index_list(?, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS x
     WHERE l.origin = 'pk' ORDER BY x.seqno`,
    table.name,
  );
  return names.map(({name}) => table.columns.find((column) => column.name === String(name))!);
}

function valuesOfShortRecords(
  connection: Connection,
  table: Table,
  columns: readonly Column[],
): readonly StoredValue[] {
  const written = new Map(
    connection
      .all(`SELECT name, dflt_value FROM pragma_table_xinfo(?, 'main')`, table.name)
      .map(({name, dflt_value: value}) => [String(name), typeof value === 'string' ? value : null]),
  );
  return addedValues(
    String(connection.value('PRAGMA main.encoding')),
    columns.map((column) => ({affinity: affinity(table, column), written: written.get(column.name) ?? null})),
  );
}

function serialType({kind, bytes}: StoredValue): number {
  switch (kind) {
    case 'null':
      return 0;
    case 'integer':
      return 6;
    case 'real':
      return 7;
    case 'blob':
      return 12 + 2 * bytes.length;
    case 'text':
      return 13 + 2 * bytes.length;
  }
}
