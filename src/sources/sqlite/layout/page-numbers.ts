import {assert} from '../../../errors/index.ts';
import type {PageGaps} from './page-gaps.ts';

/** SQLite's limit, https://www.sqlite.org/limits.html. */
const mostPages = 0xfffffffe;

/** Consecutive pages. */
type Run = {first: number; count: number};

/** Pages that were taken together, in ascending order, without the gaps between them. */
export class TakenPages {
  readonly runs: readonly Run[];

  constructor(runs: readonly Run[]) {
    this.runs = runs;
  }

  /** The number of the page at this position, counted from 0. */
  at(position: number): number {
    let before = 0;
    for (const {first, count} of this.runs) {
      if (position < before + count) return first + position - before;
      before += count;
    }
    throw new RangeError(`page ${position} of ${before}`);
  }
}

/**
 * Gives each page of the file away once, to any thread. All threads share the counter, which holds the last page that
 * was taken: one u32.
 */
export class PageNumbers {
  readonly #counter: Uint32Array;
  readonly #gaps: PageGaps;

  constructor(counter: SharedArrayBuffer, gaps: PageGaps) {
    this.#counter = new Uint32Array(counter);
    this.#gaps = gaps;
  }

  /** The last page of the file. */
  get last(): number {
    return Atomics.load(this.#counter, 0);
  }

  take(count: number): TakenPages {
    if (count === 0) return new TakenPages([]);
    for (;;) {
      const last = this.last;
      const runs = this.#after(last, count);
      const end = runs.at(-1)!;
      const next = end.first + end.count - 1;
      assert(next <= mostPages, 'a database has fewer pages than SQLite allows');
      if (Atomics.compareExchange(this.#counter, 0, last, next) === last) return new TakenPages(runs);
    }
  }

  #after(last: number, count: number): Run[] {
    const runs: Run[] = [];
    let first = last + 1;
    for (let missing = count; missing > 0; ) {
      const gap = this.#gaps.next(first);
      const room = Math.min(gap - first, missing);
      if (room > 0) runs.push({first, count: room});
      missing -= room;
      first += room;
      if (first === gap) first++;
    }
    return runs;
  }
}
