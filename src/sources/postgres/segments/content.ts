import {type ContentSum, hashText, lessOf, noRows, sumOf, sumOfText} from '../../content-sum.ts';
import type {TableContent} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {sumLines} from '../rows/line-sums.ts';
import type {Measured} from './ranges.ts';
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

  /** A part of which the content is known. */
  addMeasured({rows, sum}: Measured): void {
    this.#rows += rows;
    this.#sum = sumOf(this.#sum, sumOfText(sum));
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

export function measure(lines: Uint8Array): Measured {
  const {rows, sum} = sumLines(lines);
  return {rows, sum: hashText(sum)};
}

/** Reads all rows of a query for nothing but their content. */
export async function contentOf(connection: Connection, query: string): Promise<TableContent> {
  const running = new RunningContent();
  for await (const {bytes, release} of readRows(connection, query, {segmentBytes})) {
    running.add(bytes);
    release();
  }
  return running.content();
}
