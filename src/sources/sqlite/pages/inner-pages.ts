import type {PageReader} from './page-reader.ts';

/** Inner pages in memory. Separators of neighbouring leaves are in the same few of them. */
export class InnerPages {
  readonly #reader: PageReader;
  readonly #pageBytes: number;
  readonly #at: number;
  readonly #pages: Uint32Array;
  #replacedNext = 0;

  constructor(reader: PageReader, {pageBytes, at, bytes}: {pageBytes: number; at: number; bytes: number}) {
    this.#reader = reader;
    this.#pageBytes = pageBytes;
    this.#at = at;
    this.#pages = new Uint32Array(Math.min(8, Math.floor(bytes / pageBytes)));
  }

  /** @returns the address of the page in `memory` */
  address(page: number, memory: Uint8Array): number {
    let place = this.#pages.indexOf(page);
    if (place < 0) {
      place = this.#replacedNext;
      this.#replacedNext = (place + 1) % this.#pages.length;
      this.#pages[place] = 0;
      this.#reader.read(page, memory, this.#at + place * this.#pageBytes);
      this.#pages[place] = page;
    }
    return this.#at + place * this.#pageBytes;
  }
}
