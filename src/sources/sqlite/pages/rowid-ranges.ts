import {leastRowid, mostRowid, type RowidLeaves} from './walk.ts';

/**
 * Rowids of (after, upTo]; `after` is the end of the range before, and undefined for the first one, which has no
 * lower limit. The ranges of a tree together hold every number of 64 bits: only upper ends are stored, so that no
 * rowid can be in none of them.
 */
export type RowidRange = {after: bigint | undefined; upTo: bigint; firstLeaf: number; lastLeaf: number};

/** A range of a first base has at most this many bytes of leaves. */
const rangeBytes = 1024 * 1024;
/**
 * A range of the base before that has more leaves is cut at once, so that it can be read in parallel. It holds far more
 * than a chunk even if its pages are a third full, which is the least that SQLite leaves them when rows are deleted.
 * (A smaller one is cut by its records alone: where the cuts are must not depend on how pages are filled.)
 */
const parallelBytes = 16 * rangeBytes;

/**
 * Ranges of a tree.
 * @param ends of the ranges of the base before, ascending, without the last one, which is open; undefined for a first
 *   base
 */
export function rowidRanges(leaves: RowidLeaves, ends: readonly bigint[] | undefined, pageBytes: number): RowidRange[] {
  const grid = new Grid(leaves);
  const most = (bytes: number) => Math.max(1, Math.floor(bytes / pageBytes));
  const limit = ends === undefined ? most(rangeBytes) : most(parallelBytes);
  let after: bigint | undefined;
  return [...(ends ?? []), mostRowid].flatMap((upTo) => {
    const range = grid.range(after, upTo);
    after = upTo;
    return range.lastLeaf - range.firstLeaf < limit ? [range] : grid.cut(range, most(rangeBytes));
  });
}

/** All numbers of 64 bits, halved again and again: cuts at these places are the same in every copy of a table. */
class Grid {
  readonly #leaves: RowidLeaves;

  constructor(leaves: RowidLeaves) {
    this.#leaves = leaves;
  }

  range(after: bigint | undefined, upTo: bigint): RowidRange {
    const last = this.#leaves.pages.length - 1;
    return {
      after,
      upTo,
      firstLeaf: after === undefined ? 0 : Math.min(last, this.#leafOf(after + 1n)),
      lastLeaf: Math.min(last, this.#leafOf(upTo)),
    };
  }

  /** Halves the numbers until each part of the range has at most `limit` leaves. */
  cut(range: RowidRange, limit: number): RowidRange[] {
    const parts: RowidRange[] = [];
    const halve = (low: bigint, size: bigint) => {
      // Numbers of (low, low + size]; the least of all belongs to the first part although it is `low` itself.
      const from = range.after === undefined || range.after < low ? low : range.after;
      const to = smaller(low + size, range.upTo);
      if (from >= to) return;
      const part = this.range(range.after === undefined && from === leastRowid ? undefined : from, to);
      if (part.lastLeaf - part.firstLeaf < limit || size === 1n) add(part);
      else {
        halve(low, size / 2n);
        halve(low + size / 2n, size / 2n);
      }
    };
    const add = (part: RowidRange) => {
      const before = parts.at(-1);
      // Large ranges without rows, before and after all of them, become one.
      const isOneLeaf = before?.firstLeaf === part.firstLeaf && part.firstLeaf === part.lastLeaf;
      if (before !== undefined && isOneLeaf) parts[parts.length - 1] = {...part, after: before.after};
      else parts.push(part);
    };
    halve(leastRowid, 2n ** 64n);
    return parts;
  }

  /** The first leaf that may hold a rowid. */
  #leafOf(rowid: bigint): number {
    const {upTo} = this.#leaves;
    let [low, high] = [0, upTo.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle]! < rowid) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function smaller(one: bigint, other: bigint): bigint {
  if (one < other) return one;
  return other;
}
