import type {BaseSegment, BaseStream, Cuts} from '../../source.ts';
import {columnList} from '../catalog/columns.ts';
import {measure, RunningContent} from './content.ts';
import {lastKey} from './copy-text.ts';
import {readInOrder} from './in-order.ts';
import {type Bound, type KeyRange, keyCuts, type Measured, rangeCondition, usableRanges} from './ranges.ts';
import {type Lent, startReading} from './read-rows.ts';
import {sampledKeys} from './sampled-keys.ts';
import type {TableToRead} from './table-to-read.ts';
import {unchangedRanges} from './unchanged.ts';

const segmentBytes = 1024 * 1024;
/** A range that grew beyond this is divided. */
const largestBytes = 4 * segmentBytes;
/** A range with less than this is joined with the next one. */
const smallestBytes = segmentBytes / 4;
/** What one connection reads of a first base before it takes the next part. */
const partBytes = 8 * segmentBytes;

/** A range that is read, or taken over as the segment `same` of the base before. `like`: it probably resembles it. */
type Part = {after: Bound | undefined; upTo: Bound | undefined; like?: number; same?: KeyRange};

/** All rows of a table in the order of its key. Later bases are cut at the same keys. */
export class KeyOrderedRows implements BaseStream {
  readonly #table: TableToRead;
  readonly #ranges: KeyRange[] = [];
  #unread = 0;

  constructor(table: TableToRead) {
    this.#table = table;
  }

  /** The last range has no end, so that rows of later backups belong to it. */
  cuts(): Cuts {
    const {columns, seen} = this.#table;
    const ranges = this.#ranges.length === 0 ? [{segment: 0, bytes: 0}] : this.#ranges;
    const {upTo: _, ...open} = ranges.at(-1)!;
    const unread = this.#unread === 0 ? 0 : (seen?.unread ?? 0) + 1;
    return keyCuts(columns.key, [...ranges.slice(0, -1), open], seen && {...seen, unread});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    const {leader, readers, columns, previous, whole} = this.#table;
    const before = await usableRanges(leader, columns.key, previous);
    const parts = before === undefined ? await this.#firstParts() : joined(before, await this.#unchanged(before));
    const cutting = {
      segmentBytes: before === undefined ? segmentBytes : largestBytes,
      leastBytes: before === undefined ? smallestBytes : 0,
    };
    const content = new RunningContent();
    const read = readInOrder(
      readers,
      parts,
      (connection, {after, upTo}) => startReading(connection, this.#query(after, upTo), cutting),
      ({same}) => same === undefined,
    );
    let latest: Part | undefined;
    for await (const {range, segment} of read) {
      if (latest !== range) this.#end(latest);
      const isFirst = latest !== range;
      latest = range;
      if (segment !== undefined) {
        yield this.#push(content, segment, isFirst ? range.like : undefined);
      } else if (range.same !== undefined) {
        const {segment: previousSegment, bytes, measured} = range.same;
        content.addMeasured(measured!);
        this.#ranges.push({...range.same, segment: this.#ranges.length, bytes});
        this.#unread += 1;
        yield {bytes: new Uint8Array(), rows: measured!.rows, previous: previousSegment, isUnchanged: true};
      }
    }
    this.#end(latest);
    whole(content.content());
  }

  #push(content: RunningContent, segment: Lent, like: number | undefined): BaseSegment {
    const {bytes} = segment;
    const measured: Measured = measure(bytes);
    content.addMeasured(measured);
    const upTo = lastKey(bytes, this.#table.columns.key.length);
    this.#ranges.push({upTo, segment: this.#ranges.length, bytes: bytes.length, measured});
    return like === undefined ? segment : {...segment, previous: like};
  }

  /** A range ends where it ended before, so that it is the same one in the next base. */
  #end(part: Part | undefined): void {
    if (part?.upTo !== undefined && this.#ranges.length > 0) this.#ranges.at(-1)!.upTo = part.upTo;
  }

  async #firstParts(): Promise<readonly Part[]> {
    const {leader, readers, from, bytes, columns} = this.#table;
    const count = readers.length === 1 ? 1 : Math.ceil(bytes / partBytes);
    const ends = count === 1 ? [] : await sampledKeys(leader, {from, key: columns.key, count});
    return [...ends, undefined].map((upTo, at) => ({after: ends[at - 1], upTo}));
  }

  async #unchanged(before: readonly KeyRange[]): Promise<ReadonlySet<KeyRange>> {
    const {readers, from, bytes, columns, takeOver, counted} = this.#table;
    if (takeOver === undefined) return new Set();
    const {xmin, isKept, isQuiet} = takeOver;
    const candidates = before.flatMap((range, at) => {
      const {measured, segment, upTo} = range;
      if (measured === undefined || !isKept(segment)) return [];
      return [{range, condition: rangeCondition(columns.key, before[at - 1]?.upTo, upTo), rows: measured.rows}];
    });
    const whole = isQuiet && candidates.length === before.length ? {bytes, counted} : undefined;
    const unchanged = await unchangedRanges(readers, {from, xmin, whole}, candidates);
    return new Set([...unchanged].map((at) => candidates[at]!.range));
  }

  #query(after: Bound | undefined, upTo: Bound | undefined): string {
    const {from, columns} = this.#table;
    const order = columnList(columns.key);
    const where = rangeCondition(columns.key, after, upTo);
    return `SELECT ${columnList(columns.columns)} FROM ${from} WHERE ${where} ORDER BY ${order}`;
  }
}

/** A range that is too small is continued by the next one, if that one is read. */
function joined(ranges: readonly KeyRange[], unchanged: ReadonlySet<KeyRange>): readonly Part[] {
  const parts: Part[] = [];
  let small: {part: Part; bytes: number} | undefined;
  for (const [at, range] of ranges.entries()) {
    const {upTo, segment, bytes} = range;
    const after = ranges[at - 1]?.upTo;
    if (unchanged.has(range)) {
      if (small !== undefined) parts.push(small.part);
      small = undefined;
      parts.push({after, upTo, same: range});
      continue;
    }
    const part = small === undefined ? {after, upTo, like: segment} : {...small.part, upTo};
    const together = bytes + (small?.bytes ?? 0);
    small = together < smallestBytes && upTo !== undefined ? {part, bytes: together} : undefined;
    if (small === undefined) parts.push(part);
  }
  return parts;
}
