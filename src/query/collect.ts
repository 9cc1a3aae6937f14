import type {SQLOutputValue, StatementSync} from 'node:sqlite';
import {type Exceeded, type SelectLimits, tooMuch} from './limits.ts';

export type Collected = {rows: readonly SQLOutputValue[][]} | {exceeded: Exceeded};

/** Approximate overhead of a value beyond its text. */
const bytesPerCell = 24;

/** The rows of a prepared statement, up to the limits. It does not check the time: a single step may never end. */
export function collect(statement: StatementSync, limits: Pick<SelectLimits, 'rows' | 'mebibytes'>): Collected {
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  const rows: SQLOutputValue[][] = [];
  let bytes = 0;
  // The types of node:sqlite do not follow setReturnArrays.
  for (const row of statement.iterate() as Iterable<unknown> as Iterable<SQLOutputValue[]>) {
    if (rows.length === limits.rows) return {exceeded: 'rows'};
    for (const value of row) bytes += bytesPerCell + sizeOf(value);
    if (bytes > limits.mebibytes * 2 ** 20) return {exceeded: 'mebibytes'};
    rows.push(row);
  }
  return {rows};
}

export function withinLimits(collected: Collected, limits: SelectLimits): readonly SQLOutputValue[][] {
  if ('exceeded' in collected) throw tooMuch(collected.exceeded, limits);
  return collected.rows;
}

function sizeOf(value: SQLOutputValue): number {
  if (typeof value === 'string') return 2 * value.length;
  // Printed as two hex digits per byte.
  return value instanceof Uint8Array ? 5 * value.length : 0;
}
