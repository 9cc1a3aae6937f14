import type {BaseSegment, BaseStream} from '../source.ts';
import {type Boundary, keyOrder, keyRange, nullKeys} from './boundary.ts';
import {quoteName} from './quote.ts';
import {type FilledSegment, type RowShape, rowShape, type SegmentMaker, targetBytes} from './segment.ts';
import type {Table} from './table.ts';

/** Rows of the first segment; those after it get as many as make about the target size. */
const firstRows = 1000;
/** A range that an earlier base had may grow by this much before it is cut. */
const growth = 2;
/** A segment with less than this part of the target goes together with its neighbour in the next base. */
const tooSmall = 8;

/** A range of keys as the base before had it. */
type Range = {
  /** The last key in it; absent: all that follow. */
  upTo?: Boundary;
  /** Which segment of that base began here. */
  segment: number;
};

type CutsJson = {version: 1; keyParts: number; rowsPerSegment: number; ranges: readonly Range[]};

/**
 * All rows in the order of the key, range by range. The ranges of the base before are kept, so that those without a
 * change become the same bytes again; a range that has grown too large is cut, one that is nearly empty is left out
 * of the ranges for the next base.
 */
export class BaseRows implements BaseStream {
  readonly #maker: SegmentMaker;
  readonly #table: Table;
  readonly #shape: RowShape;
  readonly #before: readonly Range[];
  readonly #ranges: Range[] = [];
  #segments = 0;
  #bytesOfLast = 0;
  #limit: number;

  constructor(maker: SegmentMaker, table: Table, previous: string | undefined) {
    this.#maker = maker;
    this.#table = table;
    this.#shape = rowShape(table);
    const before = usable(previous, table);
    this.#before = before?.ranges ?? [];
    this.#limit = before?.rowsPerSegment ?? firstRows;
  }

  cuts(): string {
    const json: CutsJson = {
      version: 1,
      keyParts: keyParts(this.#table),
      rowsPerSegment: this.#limit,
      ranges: this.#ranges,
    };
    return JSON.stringify(json);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    let after: Boundary | undefined;
    let begun = this.#segments;
    const cutAt = (key: Boundary) => {
      this.#ranges.push({upTo: key, segment: begun});
      begun = this.#segments;
      after = key;
    };
    for (const {upTo, segment} of this.#before) {
      if (upTo === undefined) continue;
      yield* this.#range(after, upTo, segment, cutAt);
      // What is small or empty keeps no end of its own: the next base reads it together with what follows.
      if (this.#segments > begun && this.#bytesOfLast * tooSmall >= targetBytes) cutAt(upTo);
      else after = upTo;
    }
    yield* this.#range(after, undefined, this.#before.at(-1)?.segment, cutAt);
    this.#ranges.push({segment: begun});
    yield* this.#rowsWithoutKey();
  }

  /** One range of the base before, or all that follows them; in several segments when it is too large for one. */
  async *#range(
    from: Boundary | undefined,
    upTo: Boundary | undefined,
    previous: number | undefined,
    cutAt: (key: Boundary) => void,
  ): AsyncGenerator<BaseSegment> {
    let after = from;
    let like = previous;
    for (;;) {
      const segment = this.#make(after, upTo, upTo === undefined ? this.#limit : this.#limit * growth);
      if (segment === undefined) return;
      yield this.#emit(segment, like);
      if (upTo === undefined) this.#adapt(segment);
      if (!segment.full) return;
      like = undefined;
      after = segment.last!;
      cutAt(after);
    }
  }

  #emit(segment: FilledSegment, previous: number | undefined): BaseSegment {
    this.#segments++;
    this.#bytesOfLast = segment.bytes.byteLength;
    return {bytes: segment.bytes, rows: segment.rows, ...(previous === undefined ? {} : {previous})};
  }

  /** Doubling and halving only: the same rows give the same cuts. */
  #adapt({bytes, full}: FilledSegment): void {
    if (full && bytes.byteLength * 2 <= targetBytes) this.#limit *= 2;
    if (bytes.byteLength >= targetBytes * 2) this.#limit = Math.max(1, Math.floor(this.#limit / 2));
  }

  #make(after: Boundary | undefined, upTo: Boundary | undefined, limit: number): FilledSegment | undefined {
    const {key, name} = this.#table;
    const range = keyRange(key, after, upTo);
    const insert = `${this.#shape.insert} FROM main.${quoteName(name)} AS t WHERE ${range.sql} ORDER BY ${keyOrder(key)} LIMIT ?`;
    return this.#maker.make({create: this.#shape.create, insert, params: range.params, last: this.#shape.last}, limit);
  }

  /** SQLite's old primary keys may hold NULL, in any number of rows: they have no order but the rowid's. */
  async *#rowsWithoutKey(): AsyncGenerator<BaseSegment> {
    const {key, name} = this.#table;
    const condition = nullKeys(key);
    if (condition === undefined) return;
    for (let offset = 0; ; ) {
      const insert = `${this.#shape.insert} FROM main.${quoteName(name)} AS t WHERE (${condition}) ORDER BY t.${key.alias} LIMIT ? OFFSET ${offset}`;
      const segment = this.#maker.make({create: this.#shape.create, insert, params: []}, this.#limit);
      if (segment === undefined) return;
      offset += segment.rows;
      yield this.#emit(segment, undefined);
      if (!segment.full) return;
    }
  }
}

function keyParts(table: Table): number {
  return table.key.kind === 'rowid' ? 1 : table.key.parts.length;
}

/** Cuts of a table whose key has changed, or of a newer bkp, are of no use and of no harm. */
function usable(previous: string | undefined, table: Table): CutsJson | undefined {
  if (previous === undefined) return undefined;
  const cuts = JSON.parse(previous) as CutsJson;
  return cuts.version === 1 && cuts.keyParts === keyParts(table) ? cuts : undefined;
}
