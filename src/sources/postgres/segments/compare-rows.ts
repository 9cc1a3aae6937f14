import type {StoredRows, TableContent} from '../../source.ts';
import {columnList, type TableColumns} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {measure, RunningContent} from './content.ts';
import type {Differences} from './differences.ts';
import {readInOrder} from './in-order.ts';
import {type Measured, type ReadCuts, rangeCondition, usableRanges} from './ranges.ts';
import {startReading} from './read-rows.ts';
import {unchangedRanges} from './unchanged.ts';

const largestSegmentBytes = 4 * 1024 * 1024;
/** Of one range, so that its lines fit into memory and into strings. */
const mostRangeBytes = 32 * 1024 * 1024;

/** So many ranges of the base are asked for before the first of them has come: the store may be far away. */
const mostAhead = 4;
/** Of rows of now that wait for them, unless a single range has more. */
const mostAheadBytes = 16 * 1024 * 1024;

export type TableToCompare = {
  /** For small questions. */
  leader: Connection;
  /** They see the same snapshot; one of them may be the leader. */
  readers: readonly Connection[];
  /** What stands behind FROM. */
  from: string;
  columns: TableColumns;
  cuts: ReadCuts;
  /** Ranges whose rows are all older, and as many as in the base, are not read. Absent: all are read. */
  xmin: string | undefined;
  /** About how much the table is. */
  bytes: number;
  /** Called if all rows were counted, and by no index. */
  counted: (rows: number) => void;
  stored: StoredRows;
};

/** The rows that some segments of the base have, as a condition for those of now. */
type Range = {condition: string; segments: readonly number[]; measured: Measured | undefined};

/**
 * Finds in what the rows of a table differ from those of a base, range by range. The ranges only divide the work: each
 * row of now is read in one of them, each row of the base is compared in one of them, and a range is left out only if
 * both have the same rows in it. So the differences are right even where rows moved to other ranges, or a new version
 * of a collation orders them otherwise.
 * @returns what the table contains; undefined if more differs than can be collected, or if the ranges of the base
 *   do not serve any more
 */
export async function compareRows(table: TableToCompare, differences: Differences): Promise<TableContent | undefined> {
  const ranges = await rangesOf(table);
  if (ranges === undefined) return undefined;
  const unchanged = await unchangedOf(table, ranges);
  const content = new RunningContent();
  for (const range of unchanged) content.addMeasured(range.measured!);
  const changed = ranges.filter((range) => !unchanged.has(range));
  let fits = true;
  const ahead: {before: Promise<readonly Uint8Array[] | undefined>; now: readonly Uint8Array[]}[] = [];
  const aheadBytes = () => ahead.reduce((sum, {now}) => sum + lengthOf(now), 0);
  const compareFirst = async () => {
    const {before, now} = ahead.shift()!;
    const known = await before;
    fits &&= known !== undefined && differences.add(known, now);
  };
  for await (const {range, now, measured} of readRanges(table, changed, () => fits)) {
    // What is being read is read to its end: only the end of the connection would stop the server.
    if (!fits) continue;
    content.addMeasured(measured);
    const {rows, sum} = range.measured ?? {};
    if (rows === measured.rows && sum === measured.sum) {
      if (now !== undefined) differences.addSame(now);
    } else if (now === undefined) fits = false;
    else {
      const before = segmentsOf(table.stored, range.segments);
      // An error is thrown when it is this range's turn.
      before.catch(() => {});
      ahead.push({before, now});
      while (ahead.length > mostAhead || (ahead.length > 1 && aheadBytes() > mostAheadBytes)) await compareFirst();
    }
  }
  while (fits && ahead.length > 0) await compareFirst();
  return fits ? content.content() : undefined;
}

/** @returns undefined if they are too large to be collected */
async function segmentsOf(stored: StoredRows, segments: readonly number[]): Promise<readonly Uint8Array[] | undefined> {
  const parts: Uint8Array[] = [];
  for (const segment of segments) {
    parts.push(await stored.segment(segment));
    if (lengthOf(parts) > mostRangeBytes) return undefined;
  }
  return parts;
}

/** @returns undefined if not each segment of the base is in exactly one of them */
async function rangesOf(table: TableToCompare): Promise<readonly Range[] | undefined> {
  const ranges = await rangesOfCuts(table);
  const {segments} = table.stored;
  // The cuts of an empty base have a range, and the base no segment.
  const real = ranges?.map((range) => ({...range, segments: segments === 0 ? [] : range.segments}));
  const found = real?.flatMap((range) => range.segments).toSorted((a, b) => a - b);
  return found?.length === segments && found.every((segment, at) => segment === at) ? real : undefined;
}

async function rangesOfCuts({leader, columns, cuts}: TableToCompare): Promise<readonly Range[] | undefined> {
  if (cuts.by === 'key') {
    const ranges = await usableRanges(leader, columns.key, cuts);
    return ranges?.map(({upTo, segment, measured}, at) => ({
      condition: rangeCondition(columns.key, ranges[at - 1]?.upTo, upTo),
      segments: [segment],
      measured,
    }));
  }
  const {starts, measured} = cuts;
  const firsts = [...new Set([0, ...starts])].toSorted((a, b) => a - b);
  return firsts.map((start, at) => {
    const end = firsts[at + 1];
    const segments = [...starts.keys()].filter((segment) => starts[segment] === start);
    const parts = segments.map((segment) => measured?.[segment]);
    return {
      condition: `ctid >= '(${start},0)'${end === undefined ? '' : ` AND ctid < '(${end},0)'`}`,
      segments,
      measured: parts.every((part) => part !== undefined) ? sumOf(parts) : undefined,
    };
  });
}

function sumOf(parts: readonly Measured[]): Measured {
  const content = new RunningContent();
  for (const part of parts) content.addMeasured(part);
  const {rows, hash} = content.content();
  return {rows, sum: hash};
}

async function unchangedOf(
  {readers, from, xmin, bytes, counted}: TableToCompare,
  ranges: readonly Range[],
): Promise<ReadonlySet<Range>> {
  if (xmin === undefined) return new Set();
  const candidates = ranges.flatMap((range) => {
    const {condition, measured} = range;
    return measured === undefined ? [] : [{range, condition, rows: measured.rows}];
  });
  // There is no log that would show whether anything has changed.
  const whole = candidates.length === ranges.length ? {bytes, counted} : undefined;
  const found = await unchangedRanges(readers, {from, xmin, whole}, candidates);
  return new Set([...found].map((at) => candidates[at]!.range));
}

type ReadRange = {
  range: Range;
  measured: Measured;
  /** Its rows; absent if they are too large to be collected. */
  now: readonly Uint8Array[] | undefined;
};

/** Also ranges that have no row any more. @param isWanted asked before each range is read */
async function* readRanges(
  {readers, from, columns}: TableToCompare,
  ranges: readonly Range[],
  isWanted: () => boolean,
): AsyncGenerator<ReadRange> {
  const list = columnList(columns.columns);
  const cutting = {segmentBytes: largestSegmentBytes};
  const read = readInOrder(
    readers,
    ranges,
    (connection, {condition}) => startReading(connection, `SELECT ${list} FROM ${from} WHERE ${condition}`, cutting),
    isWanted,
  );
  let at = 0;
  let content = new RunningContent();
  let now: Uint8Array[] | undefined = [];
  const end = (): ReadRange => {
    const {rows, hash} = content.content();
    const ended = {range: ranges[at]!, measured: {rows, sum: hash}, now};
    at += 1;
    content = new RunningContent();
    now = [];
    return ended;
  };
  for await (const {range, segment} of read) {
    while (ranges[at] !== range) yield end();
    if (segment === undefined) continue;
    content.addMeasured(measure(segment.bytes));
    // A segment may be a single row, which PostgreSQL allows to be larger than the longest string.
    if (now !== undefined && lengthOf(now) + segment.bytes.length > mostRangeBytes) now = undefined;
    now?.push(Buffer.from(segment.bytes));
    segment.release();
  }
  while (at < ranges.length) yield end();
}

const lengthOf = (parts: readonly Uint8Array[]) => parts.reduce((sum, {length}) => sum + length, 0);
