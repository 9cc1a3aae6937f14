import {copyShared} from '../../../lib/memory.ts';
import {rowidAt, varintAt, varintEnd} from './big-endian.ts';

/**
 * Records in the form of docs/format.md: payload length, rowid (rowid trees only), payload.
 *
 * What is read here was checked when it was extracted.
 */

/** The end of a record of a key tree. Called for each record, so nothing else is done here. */
export function keyRecordEnd(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return at + 1 + first;
  const payload = varintAt(bytes, at);
  return varintEnd + payload;
}

/** The end of a record of a rowid tree. */
export function rowidRecordEnd(bytes: Uint8Array, at: number): number {
  const payload = varintAt(bytes, at);
  varintAt(bytes, varintEnd);
  return varintEnd + payload;
}

/** The rowid of a record. */
export function recordRowid(bytes: Uint8Array, at: number): bigint {
  varintAt(bytes, at);
  return rowidAt(bytes, varintEnd);
}

/** Records that wait for what follows them, in memory that is used again. */
export class HeldRecords {
  #memory = new Uint8Array(0);
  #length = 0;
  records = 0;

  get bytes(): Uint8Array {
    return this.#memory.subarray(0, this.#length);
  }

  add(bytes: Uint8Array, records: number): void {
    const length = this.#length + bytes.length;
    if (length > this.#memory.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#memory.length));
      larger.set(this.bytes);
      releaseOf(this.#memory)();
      this.#memory = larger;
    }
    copyShared(this.#memory, this.#length, bytes);
    this.#length = length;
    this.records += records;
  }

  /** Removes the first `length` bytes. @returns a copy */
  take(length: number, records: number): Uint8Array<ArrayBuffer> {
    const taken = this.#memory.slice(0, length);
    this.#memory.copyWithin(0, length, this.#length);
    this.#length -= length;
    this.records -= records;
    return taken;
  }
}

/** Gives memory back at once: the garbage collector would keep many chunks for a while. */
export function releaseOf({buffer}: Uint8Array<ArrayBuffer>): () => void {
  return () => {
    if (!buffer.detached) buffer.transfer(0);
  };
}
