import type {ContentPlan} from '../schema/content-plan.ts';
import type {KeyRun, RowidRun} from './page-files.ts';
import type {RowidRange} from './rowid-ranges.ts';
import {type KeyLeaves, leastRowid, type RowidLeaves} from './walk.ts';

export type RangeRun = RowidRun & {isLast: boolean};

/** One run for each range. */
export function* rowidRuns(
  leaves: RowidLeaves,
  ranges: readonly RowidRange[],
  content?: ContentPlan,
): Generator<RangeRun> {
  for (const [at, {after, upTo, firstLeaf, lastLeaf}] of ranges.entries()) {
    const bounds = new BigInt64Array(lastLeaf - firstLeaf + 2);
    bounds[0] = firstLeaf === 0 ? leastRowid : leaves.upTo[firstLeaf - 1]!;
    bounds.set(leaves.upTo.subarray(firstLeaf, lastLeaf + 1), 1);
    const pages = leaves.pages.slice(firstLeaf, lastLeaf + 1);
    yield {kind: 'rowid', leaves: pages, bounds, after, upTo, content, isLast: at === ranges.length - 1};
  }
}

/** Bytes of leaves in a run of a key tree: large enough that asking for it does not matter. */
const runBytes = 1024 * 1024;

export type KeyRunOptions = {
  pageBytes: number;
  hashed: 'tail' | 'head';
  bits: number;
  content?: ContentPlan | undefined;
};

/** All leaves, with equally many in each run: where runs end decides nothing. */
export function* keyRuns(leaves: KeyLeaves, {pageBytes, hashed, bits, content}: KeyRunOptions): Generator<KeyRun> {
  const count = Math.max(1, Math.floor(runBytes / pageBytes));
  for (let first = 0; first < leaves.pages.length; first += count) {
    const end = first + count;
    yield {
      kind: 'key',
      leaves: leaves.pages.slice(first, end),
      separatorPages: leaves.separatorPages.slice(first, end),
      separatorCells: leaves.separatorCells.slice(first, end),
      hashed,
      mask: 2 ** bits - 1,
      content,
    };
  }
}
