import type {BaseSegment, BaseStream, Cuts} from '../../source.ts';
import {columnList, type TableColumns} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {lastKey} from './copy-text.ts';
import {type Bound, type KeyRange, keyCuts, rangeCondition, readCuts, usableRanges} from './ranges.ts';
import {readRows} from './read-rows.ts';

const segmentBytes = 1024 * 1024;
/** A range that grew beyond this is divided. */
const largestBytes = 4 * segmentBytes;
/** A range with less than this is joined with the next one. */
const smallestBytes = segmentBytes / 4;

export type TableToRead = {
  connection: Connection;
  /** `ONLY "public"."orders"`: what stands behind FROM. */
  from: string;
  columns: TableColumns;
  previous: Cuts | undefined;
};

/** All rows of a table in the order of its key. Later bases are cut at the same keys. */
export class KeyOrderedRows implements BaseStream {
  readonly #table: TableToRead;
  readonly #ranges: KeyRange[] = [];

  constructor(table: TableToRead) {
    this.#table = table;
  }

  /** The last range has no end, so that rows of later backups belong to it. */
  cuts(): Cuts {
    const {key} = this.#table.columns;
    const ranges = this.#ranges.length === 0 ? [{segment: 0, bytes: 0}] : this.#ranges;
    const {upTo: _, ...open} = ranges.at(-1)!;
    return keyCuts(key, [...ranges.slice(0, -1), open]);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    const {connection, columns, previous} = this.#table;
    const before = await usableRanges(connection, columns.key, readCuts(previous));
    const limit = before === undefined ? segmentBytes : largestBytes;
    let after: Bound | undefined;
    for (const {upTo, segment} of joined(before ?? [{segment: 0, bytes: 0}])) {
      let like = before === undefined ? undefined : segment;
      for await (const read of readRows(connection, this.#query(after, upTo), {segmentBytes: limit})) {
        this.#ranges.push({
          upTo: lastKey(read.bytes, columns.key.length),
          segment: this.#ranges.length,
          bytes: read.bytes.length,
        });
        yield like === undefined ? read : {...read, previous: like};
        like = undefined;
      }
      // The range ends where it ended before, so that it is the same one in the next base.
      if (upTo !== undefined && this.#ranges.length > 0) this.#ranges.at(-1)!.upTo = upTo;
      after = upTo;
    }
  }

  #query(after: Bound | undefined, upTo: Bound | undefined): string {
    const {from, columns} = this.#table;
    const order = columnList(columns.key);
    const where = rangeCondition(columns.key, after, upTo);
    return `SELECT ${columnList(columns.columns)} FROM ${from} WHERE ${where} ORDER BY ${order}`;
  }
}

/** A range that is too small is continued by the next one. */
function* joined(ranges: readonly KeyRange[]): Generator<KeyRange> {
  let held: KeyRange | undefined;
  for (const range of ranges) {
    const whole = held === undefined ? range : {...range, segment: held.segment, bytes: held.bytes + range.bytes};
    held = undefined;
    if (whole.bytes < smallestBytes && range.upTo !== undefined) held = whole;
    else yield whole;
  }
}
