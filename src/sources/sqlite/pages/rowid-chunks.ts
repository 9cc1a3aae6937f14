import type {Extracted} from './page-files.ts';
import {HeldRecords, recordRowid, rowidRecordEnd} from './records.ts';

/** A chunk, with the upper end of its range of rowids. */
export type RowidChunk = {bytes: Uint8Array; records: number; upTo: bigint; release: () => void};

const mebibyte = 1024 * 1024;
/** A range with more bytes of records is cut. Only a chunk of a single record is larger. */
const mostBytes = 2 * mebibyte;
/** … into chunks of at most about this size. */
const cutBytes = mebibyte;
/** A range with fewer is joined with the one after it. */
const leastBytes = mebibyte / 8;

/**
 * Makes chunks from the records of ranges: one chunk a range, unless it has become too large or too small. Each chunk's
 * range is a range of the next base, which makes the same chunk of the same records: where chunks end depends on
 * nothing but the ranges and the records.
 */
export class RowidChunks {
  readonly #held = new HeldRecords();

  /**
   * @param upTo the end of the range, with its last records; undefined when more of them follow
   * @param isLast whether it is the last range
   */
  *add(extracted: Extracted, {upTo, isLast}: {upTo: bigint | undefined; isLast: boolean}): Generator<RowidChunk> {
    const {bytes, records, release} = extracted;
    const isChunk = bytes.length <= mostBytes && (bytes.length >= leastBytes || isLast) && bytes.length > 0;
    if (upTo !== undefined && isChunk && this.#held.records === 0) {
      yield {bytes, records, upTo, release};
      return;
    }
    this.#held.add(bytes, records);
    release();
    while (this.#held.bytes.length > mostBytes) yield this.#cut();
    const {length} = this.#held.bytes;
    if (upTo !== undefined && length > 0 && (length >= leastBytes || isLast)) yield this.#take(length, upTo);
  }

  /** About as many records as `cutBytes`. */
  #cut(): RowidChunk {
    const {bytes} = this.#held;
    let [records, last, end] = [1, 0, rowidRecordEnd(bytes, 0)];
    while (end < bytes.length) {
      const next = rowidRecordEnd(bytes, end);
      // A chunk that would be joined with its neighbour the next time is joined now.
      const fits = next <= cutBytes || (end < leastBytes && next <= mostBytes);
      if (!fits) break;
      [records, last, end] = [records + 1, end, next];
    }
    return this.#take(end, recordRowid(bytes, last), records);
  }

  #take(length: number, upTo: bigint, records = this.#held.records): RowidChunk {
    return {...this.#held.take(length, records), records, upTo};
  }
}
