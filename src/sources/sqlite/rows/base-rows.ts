import {BkpError} from '../../../errors/index.ts';
import type {BaseSegment, BaseStream, Segment} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import type {Table} from '../schema/table.ts';
import {type Boundary, keyOrder, keyRange} from './boundary.ts';
import {cutsOf, type Range, usableCuts} from './cuts.ts';
import {type FilledSegment, type RowShape, rowShape, type SegmentMaker, targetBytes} from './segment.ts';

/** Rows of the first segment; later segments get as many as make about the target size. */
const firstRows = 1000;
/** A range of the previous base may grow to this many times its rows before it is cut. */
const growth = 2;
/** Cuts with more text than this are left out: keys of megabytes would fill the memory. */
const mostCutText = 64 * 1024 * 1024;
/** What no reader takes for cuts: the next base is cut like a first one. */
const noCuts = '{}';
/** A segment below 1/8 of the target is merged with its neighbour in the next base. */
const tooSmall = 8;

export type BaseRowsOptions = {
  connection: Connection;
  maker: SegmentMaker;
  table: Table;
  previous: string | undefined;
  /** Rows without a place in the key's order, which come last; `ordered` is the number of the others. */
  rest: (ordered: number) => AsyncIterable<Segment>;
  /** Rows of the table. */
  total: () => number;
};

function outOfOrder(table: string): BkpError {
  return new BkpError('SOURCE_DAMAGED', `more rows of table ${table} were read than it has`, {
    cause: 'the index of its key is not in the order in which the columns of the key compare',
    next:
      `REINDEX ${table} by the application's SQLite, then run PRAGMA integrity_check; ` +
      'BACKUP DATABASE copies the file unchanged',
    context: {table},
  });
}

/**
 * All rows in the order of the key, range by range. The ranges of the previous base are kept, so that unchanged
 * ranges become the same bytes again. A range that has grown too large is cut; a nearly empty one is merged in
 * the next base.
 */
export class BaseRows implements BaseStream {
  readonly #maker: SegmentMaker;
  readonly #table: Table;
  readonly #shape: RowShape;
  readonly #rest: BaseRowsOptions['rest'];
  readonly #total: BaseRowsOptions['total'];
  readonly #before: readonly Range[];
  #ranges: Range[] = [];
  /** Of the ends of these ranges. */
  #cutText = 0;
  /** Rows of a segment where no range of the previous base limits it. */
  #limit: number;
  /** Read so far. */
  #segments = 0;
  #rows = 0;
  #bytesOfLast = 0;
  /** Of these, in ranges that have an end. */
  #cutSegments = 0;
  #cutRows = 0;

  constructor({connection, maker, table, previous, rest, total}: BaseRowsOptions) {
    this.#maker = maker;
    this.#table = table;
    this.#shape = rowShape(table);
    this.#rest = rest;
    this.#total = total;
    const before = usableCuts(connection, table, previous);
    this.#before = before?.ranges ?? [{segment: 0, rows: 0}];
    this.#limit = before?.rowsPerSegment ?? firstRows;
  }

  cuts(): string {
    if (this.#cutText > mostCutText) return noCuts;
    return cutsOf(this.#table, {rowsPerSegment: this.#limit, ranges: this.#ranges});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    let after: Boundary | undefined;
    for (const range of this.#before) {
      yield* this.#range(after, range);
      after = range.upTo;
      // A small or empty range gets no end: the next base reads it together with the next one.
      const large = this.#segments > this.#cutSegments && this.#bytesOfLast * tooSmall >= targetBytes;
      if (after === undefined || large) this.#cut(after);
    }
    for await (const {bytes, rows} of this.#rest(this.#rows)) yield {bytes, rows};
  }

  /** In several segments when it is too large for one. */
  async *#range(from: Boundary | undefined, {upTo, segment: previous, rows}: Range): AsyncGenerator<BaseSegment> {
    let after = from;
    let like = rows > 0 ? previous : undefined;
    let limit = upTo === undefined ? Math.max(this.#limit, rows + 1) : rows * growth;
    for (;;) {
      const segment = this.#make(after, upTo, limit);
      if (segment.rows === 0) return;
      this.#segments++;
      this.#rows += segment.rows;
      this.#bytesOfLast = segment.bytes.byteLength;
      // If the key's index is not in the order in which its columns compare, this loop might never end.
      if (this.#rows > this.#total()) throw outOfOrder(this.#table.name);
      yield {bytes: segment.bytes, rows: segment.rows, ...(like === undefined ? {} : {previous: like})};
      if (upTo === undefined) limit = this.#adapt(segment);
      if (!segment.full) return;
      like = undefined;
      after = segment.last!;
      this.#cut(after);
    }
  }

  /** Ends a range here. */
  #cut(upTo: Boundary | undefined): void {
    const rows = this.#rows - this.#cutRows;
    this.#cutText += upTo?.reduce((sum, [, text]) => sum + text.length, 0) ?? 0;
    if (this.#cutText > mostCutText) this.#ranges = [];
    else this.#ranges.push({upTo, segment: this.#cutSegments, rows});
    this.#cutSegments = this.#segments;
    this.#cutRows = this.#rows;
  }

  /** Only doubles and halves, so the same rows give the same cuts. */
  #adapt({bytes, full, limit}: FilledSegment): number {
    this.#limit = Math.min(this.#limit, limit);
    if (full && bytes.byteLength * 2 <= targetBytes) this.#limit *= 2;
    if (bytes.byteLength >= targetBytes * 2) this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    return this.#limit;
  }

  #make(after: Boundary | undefined, upTo: Boundary | undefined, limit: number): FilledSegment {
    const {key, name} = this.#table;
    const range = keyRange(key, after, upTo);
    const insert =
      `${this.#shape.insert} FROM main.${quoteName(name)} AS t WHERE ${range.sql} ` +
      `ORDER BY ${keyOrder(key)} LIMIT ?`;
    return this.#maker.make({create: this.#shape.create, insert, params: range.params, last: this.#shape.last}, limit);
  }
}
