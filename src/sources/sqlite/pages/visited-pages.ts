import {PageFault} from './page-fault.ts';
import type {PageFiles} from './page-files.ts';
import {lockBytePage} from './page-types.ts';

/** No page visited: one bit a page, in words of 32 bits. */
export function noPageVisited(pages: number): SharedArrayBuffer {
  return new SharedArrayBuffer(((pages >>> 5) + 1) * 4);
}

/**
 * Which pages belong to a tree. Each page belongs to one tree, and is in one place of it: a page that is referred to
 * twice is damage, whichever thread finds it.
 */
export class VisitedPages {
  readonly #words: Int32Array;
  readonly #pages: number;
  readonly #lockBytePage: number;

  constructor({visited, pages, pageBytes}: Pick<PageFiles, 'visited' | 'pages' | 'pageBytes'>) {
    this.#words = new Int32Array(visited);
    this.#pages = pages;
    this.#lockBytePage = lockBytePage(pageBytes);
  }

  /**
   * @param from the page that refers to `page`
   * @throws PageFault when `page` cannot be a page of a tree, or was visited before
   */
  visit(page: number, from: number): void {
    if (page < 2 || page > this.#pages) throw new PageFault(from, `refers to page ${page}, which does not exist`);
    if (page === this.#lockBytePage) throw new PageFault(from, `refers to page ${page}, which SQLite never uses`);
    const bit = 1 << (page & 31);
    if ((Atomics.or(this.#words, page >>> 5, bit) & bit) !== 0) {
      throw new PageFault(page, `is referred to twice, the second time by page ${from}`);
    }
  }
}
