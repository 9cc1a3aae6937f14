/** A page is not what SQLite writes. The message is the end of a sentence: `page 7 …`. */
export class PageFault extends Error {
  readonly page: number;

  /** @param what continues `page 7`, as in `is not a leaf of a table` */
  constructor(page: number, what: string) {
    super(`page ${page} ${what}`);
    this.page = page;
  }
}
