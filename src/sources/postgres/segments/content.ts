import {type ContentSum, hashText, lessOf, noRows, sumOf} from '../../content-sum.ts';
import type {BaseSegment, BaseStream, Cuts, TableContent} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {sumLines} from './line-sums.ts';
import {readRows} from './read-rows.ts';

const segmentBytes = 1024 * 1024;

/** What a table contains, as rows come and go. */
export class RunningContent {
  #rows = 0;
  #sum: ContentSum = noRows;

  /** @param lines rows as COPY writes them @returns how many they are */
  add(lines: Uint8Array): number {
    const {rows, sum} = sumLines(lines);
    this.#rows += rows;
    this.#sum = sumOf(this.#sum, sum);
    return rows;
  }

  remove(lines: Uint8Array): void {
    const {rows, sum} = sumLines(lines);
    this.#rows -= rows;
    this.#sum = lessOf(this.#sum, sum);
  }

  content(): TableContent {
    return {rows: this.#rows, hash: hashText(this.#sum)};
  }
}

/** A base whose content is known once it was read completely. */
export class HashedRows implements BaseStream {
  readonly #rows: BaseStream;
  readonly #known: (content: TableContent) => void;

  constructor(rows: BaseStream, known: (content: TableContent) => void) {
    this.#rows = rows;
    this.#known = known;
  }

  cuts(): Cuts {
    return this.#rows.cuts();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    const running = new RunningContent();
    for await (const segment of this.#rows) {
      running.add(segment.bytes);
      yield segment;
    }
    this.#known(running.content());
  }
}

/** Reads all rows of a query for nothing but their content. */
export async function contentOf(connection: Connection, query: string): Promise<TableContent> {
  const running = new RunningContent();
  for await (const {bytes} of readRows(connection, query, {segmentBytes})) running.add(bytes);
  return running.content();
}
