import type {BaseSegment, BaseStream, Cuts} from '../../source.ts';
import {columnList} from '../catalog/columns.ts';
import {measure, RunningContent} from './content.ts';
import {readInOrder} from './in-order.ts';
import {blockCuts, type Measured} from './ranges.ts';
import {startReading} from './read-rows.ts';
import type {TableToRead} from './table-to-read.ts';
import {unchangedRanges} from './unchanged.ts';

/** 1 MiB of a table. */
const blocksPerSegment = 128;
/** Blocks can refer to much more in the TOAST table. */
const largestBytes = 4 * 1024 * 1024;

/** Segments of the base before that begin with the same block, if there are any. */
type Before = {segments: readonly number[]; measured: readonly Measured[]};
type Range = {start: number; condition: string; before: Before | undefined};

/**
 * All rows of a table in the order of its blocks, some blocks at a time: for tables without a key, and for keys in
 * whose order each row would be on another page. VACUUM does not move rows.
 */
export class BlockOrderedRows implements BaseStream {
  readonly #table: TableToRead;
  readonly #starts: number[] = [];
  readonly #measured: Measured[] = [];
  #unread = 0;

  constructor(table: TableToRead) {
    this.#table = table;
  }

  cuts(): Cuts {
    const {seen} = this.#table;
    const unread = this.#unread === 0 ? 0 : (seen?.unread ?? 0) + 1;
    return blockCuts(blocksPerSegment, this.#starts, {measured: this.#measured, seen: seen && {...seen, unread}});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    const {readers, from, columns, whole} = this.#table;
    const ranges = await this.#ranges();
    const unchanged = await this.#unchanged(ranges);
    const content = new RunningContent();
    const push = (start: number, measured: Measured) => {
      content.addMeasured(measured);
      this.#starts.push(start);
      this.#measured.push(measured);
    };
    const cutting = {segmentBytes: largestBytes};
    const list = columnList(columns.columns);
    const read = readInOrder(
      readers,
      ranges,
      (connection, {condition}) => startReading(connection, `SELECT ${list} FROM ${from} WHERE ${condition}`, cutting),
      (range) => !unchanged.has(range),
    );
    const used = new Map<Range, number>();
    for await (const {range, segment} of read) {
      const {start, before} = range;
      if (segment !== undefined) {
        push(start, measure(segment.bytes));
        const at = used.get(range) ?? 0;
        used.set(range, at + 1);
        const like = before?.segments[at];
        yield like === undefined ? segment : {...segment, previous: like};
      } else {
        for (const [at, previous] of before!.segments.entries()) {
          const measured = before!.measured[at]!;
          push(start, measured);
          yield {bytes: new Uint8Array(), rows: measured.rows, previous, isUnchanged: true};
        }
        this.#unread += 1;
      }
    }
    whole(content.content());
  }

  async #ranges(): Promise<readonly Range[]> {
    const {leader, from, previous} = this.#table;
    const relation = from.replace(/^ONLY /u, '');
    const blocks = Number(
      await leader.value(
        `SELECT pg_catalog.pg_relation_size('${relation.replaceAll("'", "''")}'::regclass)
          / pg_catalog.current_setting('block_size')::int`,
      ),
    );
    const before = new Map<number, {segments: number[]; measured: Measured[]}>();
    if (previous?.by === 'block' && previous.blocks === blocksPerSegment) {
      for (const [segment, start] of previous.starts.entries()) {
        const known = before.get(start) ?? {segments: [], measured: []};
        known.segments.push(segment);
        const measured = previous.measured?.[segment];
        if (measured !== undefined) known.measured.push(measured);
        before.set(start, known);
      }
    }
    const ranges: Range[] = [];
    for (let start = 0; start === 0 || start < blocks; start += blocksPerSegment) {
      // Rows of a transaction that ended later may be behind the end that was asked for: the last range has none.
      const isLast = start + blocksPerSegment >= blocks;
      const end = isLast ? '' : ` AND ctid < '(${start + blocksPerSegment},0)'`;
      ranges.push({start, condition: `ctid >= '(${start},0)'${end}`, before: before.get(start)});
    }
    return ranges;
  }

  async #unchanged(ranges: readonly Range[]): Promise<ReadonlySet<Range>> {
    const {readers, from, bytes, takeOver, counted} = this.#table;
    if (takeOver === undefined) return new Set();
    const {xmin, isKept, isQuiet} = takeOver;
    const candidates = ranges.flatMap((range) => {
      const {condition, before} = range;
      if (before === undefined || before.measured.length !== before.segments.length) return [];
      if (!before.segments.every(isKept)) return [];
      return [{range, condition, rows: before.measured.reduce((sum, {rows}) => sum + rows, 0)}];
    });
    const whole = isQuiet && candidates.length === ranges.length ? {bytes, counted} : undefined;
    const unchanged = await unchangedRanges(readers, {from, xmin, whole}, candidates);
    return new Set([...unchanged].map((at) => candidates[at]!.range));
  }
}
