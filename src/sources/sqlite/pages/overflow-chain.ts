import {PageFault} from './page-fault.ts';
import type {PageFiles} from './page-files.ts';
import type {PageReader} from './page-reader.ts';
import type {VisitedPages} from './visited-pages.ts';

/** Bytes of the next page's number, at the start of an overflow page. */
const linkBytes = 4;

/**
 * Reads overflow chains (https://www.sqlite.org/fileformat2.html#ovflpgs) and checks each page of them. A chain's pages
 * are usually neighbours, because they were written together: it reads ahead as far as that came true.
 */
export class OverflowChain {
  readonly #files: PageFiles;
  readonly #reader: PageReader;
  readonly #visited: VisitedPages;
  readonly #bytes: Buffer;
  /** Pages that are read ahead. */
  #ahead = 1;

  /** @param room receives pages that are read */
  constructor(
    files: PageFiles,
    {reader, visited, room}: {reader: PageReader; visited: VisitedPages; room: Uint8Array},
  ) {
    this.#files = files;
    this.#reader = reader;
    this.#visited = visited;
    this.#bytes = Buffer.from(room.buffer, room.byteOffset, room.byteLength);
  }

  /**
   * Writes `length` bytes to `at` in `into`.
   * @param from the page with the cell that refers to the chain
   * @throws PageFault when the chain is longer or shorter than that, or a page cannot be part of it
   */
  read(first: number, from: number, {into, at, length}: {into: Uint8Array; at: number; length: number}): void {
    const {pageBytes, usableBytes} = this.#files;
    const contentBytes = usableBytes - linkBytes;
    let page = first;
    let referrer = from;
    let done = 0;
    while (done < length) {
      if (page === 0) throw new PageFault(referrer, 'ends a record too early');
      this.#visited.visit(page, referrer);
      const needed = Math.ceil((length - done) / contentBytes);
      const count = this.#readFrom(page, needed);
      for (let n = 0; ; ) {
        const start = n * pageBytes;
        const bytes = Math.min(contentBytes, length - done);
        into.set(this.#bytes.subarray(start + linkBytes, start + linkBytes + bytes), at + done);
        done += bytes;
        referrer = page;
        page = this.#bytes.readUInt32BE(start);
        n++;
        if (n === count) {
          this.#ahead = Math.min(2 * this.#ahead, Math.floor(this.#bytes.length / pageBytes));
          break;
        }
        if (page !== referrer + 1) {
          this.#ahead = 1;
          break;
        }
        this.#visited.visit(page, referrer);
      }
    }
    if (page !== 0) throw new PageFault(referrer, `continues a record that ends there`);
  }

  /** @returns how many pages were read, all neighbours */
  #readFrom(first: number, needed: number): number {
    const most = Math.min(needed, this.#ahead, this.#files.pages - first + 1);
    let count = 0;
    while (count < most && this.#reader.isInFile(first + count)) count++;
    if (count > 1) this.#reader.readAdjacent(first, count, this.#bytes, 0);
    else this.#reader.read(first, this.#bytes, 0);
    return Math.max(1, count);
  }
}
