import {yieldToEventLoop} from '../../../lib/async.ts';
import {growingBigInt64, growingUint16, growingUint32} from './growing.ts';
import {InnerPage} from './inner-page.ts';
import {PageFault} from './page-fault.ts';
import type {PageFiles} from './page-files.ts';
import {PageReader} from './page-reader.ts';
import {leafType} from './page-types.ts';
import {VisitedPages} from './visited-pages.ts';

/** The leaves of a rowid tree in order. 12 bytes a leaf. */
export type RowidLeaves = {
  kind: 'rowid';
  pages: Uint32Array;
  /** No rowid in leaf i is larger, and all rowids in leaf i + 1 are; 2^63 - 1 for the last one. */
  upTo: BigInt64Array;
};

/** The leaves of a key tree in order, and where the record after each leaf is. 10 bytes a leaf. */
export type KeyLeaves = {
  kind: 'key';
  pages: Uint32Array;
  /** Inner page of the record after leaf i; 0 after the last one. */
  separatorPages: Uint32Array;
  separatorCells: Uint16Array;
};

export const leastRowid = -(2n ** 63n);
export const mostRowid = 2n ** 63n - 1n;

/** A tree of a file with 2^32 pages has 20 levels if its pages have but three children. */
const mostLevels = 40;
/** Some milliseconds of work. */
const pagesAtOnce = 128;

/**
 * The leaves of a tree, from its inner pages. No leaf is read, except one to know its level.
 * @throws PageFault
 */
export async function walkTree(
  files: PageFiles,
  {root, kind}: {root: number; kind: 'rowid' | 'key'},
): Promise<RowidLeaves | KeyLeaves> {
  const walk = new Walk(files, kind);
  await walk.from(root);
  return walk.leaves();
}

/** What limits a child: the cell after it, or what limits its parent. */
type Limit = {upTo: bigint; page: number; cell: number};

class Walk {
  readonly #kind: 'rowid' | 'key';
  readonly #files: PageFiles;
  readonly #reader: PageReader;
  readonly #visited: VisitedPages;
  readonly #pages;
  readonly #upTo;
  readonly #separatorPages;
  readonly #separatorCells;
  /** A page in memory at each level. */
  readonly #levels: Buffer[] = [];
  /** Known since the first leaf was reached: all leaves are at the same level. */
  #leafLevel: number | undefined;
  #last = leastRowid;
  #read = 0;

  constructor(files: PageFiles, kind: 'rowid' | 'key') {
    this.#kind = kind;
    this.#files = files;
    this.#reader = new PageReader(files);
    this.#visited = new VisitedPages(files);
    this.#pages = growingUint32(files.pages);
    const most = (wanted: 'rowid' | 'key') => (kind === wanted ? files.pages : 0);
    this.#upTo = growingBigInt64(most('rowid'));
    this.#separatorPages = growingUint32(most('key'));
    this.#separatorCells = growingUint16(most('key'));
  }

  async from(root: number): Promise<void> {
    // The schema, which begins in page 1, names the root.
    this.#visited.visit(root, 1);
    await this.#take(root, 0, {upTo: mostRowid, page: 0, cell: 0});
  }

  leaves(): RowidLeaves | KeyLeaves {
    const {length} = this.#pages;
    const pages = this.#pages.values.subarray(0, length);
    if (this.#kind === 'rowid') return {kind: 'rowid', pages, upTo: this.#upTo.values.subarray(0, length)};
    return {
      kind: 'key',
      pages,
      separatorPages: this.#separatorPages.values.subarray(0, length),
      separatorCells: this.#separatorCells.values.subarray(0, length),
    };
  }

  /** A visited page and everything below it. */
  async #take(page: number, level: number, limit: Limit): Promise<void> {
    if (level === this.#leafLevel) {
      this.#addLeaf(page, limit);
      return;
    }
    const bytes = this.#pageAt(page, level);
    if (this.#leafLevel === undefined && bytes[0] === leafType[this.#kind]) {
      this.#leafLevel = level;
      this.#addLeaf(page, limit);
      return;
    }
    if (++this.#read % pagesAtOnce === 0) await yieldToEventLoop();
    const inner = new InnerPage(page, bytes, {kind: this.#kind, usableBytes: this.#files.usableBytes});
    for (let cell = 0; cell <= inner.cells; cell++) {
      const child = inner.child(cell);
      this.#visited.visit(child, page);
      const below = cell < inner.cells ? this.#limitOf(inner, cell, limit) : limit;
      if (level + 1 === this.#leafLevel) this.#addLeaf(child, below);
      else await this.#take(child, level + 1, below);
    }
  }

  #limitOf(inner: InnerPage, cell: number, {upTo}: Limit): Limit {
    const {page} = inner;
    if (this.#kind === 'key') return {upTo, page, cell};
    const rowid = inner.rowid(cell);
    // The rowids of the children before are in the list already, so they end where this one begins.
    if (rowid < this.#last) throw new PageFault(page, 'has rowids that do not ascend');
    if (rowid > upTo) throw new PageFault(page, 'has a rowid that belongs to another page');
    return {upTo: rowid, page, cell};
  }

  #addLeaf(leaf: number, {upTo, page, cell}: Limit): void {
    this.#pages.add(leaf);
    if (this.#kind === 'rowid') {
      this.#upTo.add(upTo);
      this.#last = upTo;
      return;
    }
    this.#separatorPages.add(page);
    this.#separatorCells.add(cell);
  }

  #pageAt(page: number, level: number): Buffer {
    if (level > mostLevels) throw new PageFault(page, 'is at a level that no tree has');
    this.#levels[level] ??= Buffer.alloc(this.#files.pageBytes);
    this.#reader.read(page, this.#levels[level]);
    return this.#levels[level];
  }
}
