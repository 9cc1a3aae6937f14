/** A page is not what SQLite writes. The message is the end of a sentence: `page 7 is not …`. */
export class PageFault extends Error {
  readonly page: number;
  /** The message after `page 7`. */
  readonly what: string;

  /** @param what as in `is not a leaf of a table` */
  constructor(page: number, what: string) {
    super(`page ${page} ${what}`);
    this.page = page;
    this.what = what;
  }
}
