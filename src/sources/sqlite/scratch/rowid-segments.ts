import type {KeyCondition} from '../../scratch.ts';
import {foldName} from '../engine/quote.ts';
import {readRowidCuts} from '../pages/cuts.ts';
import {leastRowid, mostRowid} from '../pages/walk.ts';
import type {Table} from '../schema/table.ts';

/** Rowids from `from` to `to`, both included. */
type Interval = {from: bigint; to: bigint};

/** Whether the name is one of the rowid that identifies the table's rows: its INTEGER PRIMARY KEY, `rowid`, … */
export function isRowid({key, columns, withoutRowid}: Table, name: string): boolean {
  if (key.kind !== 'rowid' || withoutRowid) return false;
  const folded = foldName(name);
  if (key.column !== undefined && folded === foldName(key.column)) return true;
  const isColumn = columns.some((column) => foldName(column.name) === folded);
  return !isColumn && ['rowid', '_rowid_', 'oid'].includes(folded);
}

/** @returns the rowids for which all conditions can hold; undefined when they do not limit them */
export function intervalsWhere(table: Table, conditions: readonly KeyCondition[]): readonly Interval[] | undefined {
  let intervals: readonly Interval[] | undefined;
  for (const {column, operator, values} of conditions) {
    if (!isRowid(table, column)) continue;
    const numbers = values.map((value) => (value.kind === 'integer' ? value.value : undefined));
    if (!numbers.every((number) => number !== undefined)) continue;
    const ones = numbers.map((number) => intervalOf(operator, number));
    intervals = (intervals ?? [{from: leastRowid, to: mostRowid}]).flatMap((left) =>
      ones.map((right) => both(left, right)),
    );
    intervals = intervals.filter(({from, to}) => from <= to);
  }
  return intervals;
}

function intervalOf(operator: KeyCondition['operator'], value: bigint): Interval {
  switch (operator) {
    case '=':
      return {from: value, to: value};
    case '<':
      return {from: leastRowid, to: value - 1n};
    case '<=':
      return {from: leastRowid, to: value};
    case '>':
      return {from: value + 1n, to: mostRowid};
    case '>=':
      return {from: value, to: mostRowid};
  }
}

function both(left: Interval, right: Interval): Interval {
  // Math.max takes no bigint.
  const [from, to] = [left.from < right.from ? right : left, left.to > right.to ? right : left];
  return {from: from.from, to: to.to};
}

/** Which segments of a tree of rowids hold which rowids; undefined when the cuts cannot be relied on. */
export function rowidSegments(text: string, segments: number): RowidSegments | undefined {
  const cuts = readRowidCuts(text);
  return cuts?.segments === segments ? new RowidSegments(cuts.ends, segments) : undefined;
}

/** Segment n holds the rowids after the end of the one before it, up to its own end; the last one has no end. */
class RowidSegments {
  readonly #ends: readonly bigint[];
  readonly #segments: number;

  constructor(ends: readonly bigint[], segments: number) {
    this.#ends = ends;
    this.#segments = segments;
  }

  /** The position of the segment for a rowid; it may be one more than there are. */
  of(rowid: bigint): number {
    let [low, high] = [0, this.#ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ends[middle]! < rowid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  within(intervals: readonly Interval[]): readonly number[] {
    const found = new Set<number>();
    for (const {from, to} of intervals) for (let at = this.of(from); at <= this.of(to); at++) found.add(at);
    return this.existing(found);
  }

  existing(positions: ReadonlySet<number>): readonly number[] {
    return [...positions].filter((at) => at < this.#segments).sort((a, b) => a - b);
  }
}
