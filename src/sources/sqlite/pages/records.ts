import {copyShared} from '../../../lib/memory.ts';
import {once} from '../../../lib/once.ts';
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

/** Records that wait for what follows them. */
export class HeldRecords {
  #memory: Uint8Array | undefined;
  #length = 0;
  records = 0;

  get bytes(): Uint8Array {
    return this.#memory?.subarray(0, this.#length) ?? new Uint8Array(0);
  }

  add(bytes: Uint8Array, records: number): void {
    const length = this.#length + bytes.length;
    if (length > (this.#memory?.length ?? 0)) {
      const larger = takeMemory(length);
      copyShared(larger, 0, this.bytes);
      if (this.#memory !== undefined) releaseMemory(this.#memory);
      this.#memory = larger;
    }
    copyShared(this.#memory!, this.#length, bytes);
    this.#length = length;
    this.records += records;
  }

  /**
   * Removes the first `length` bytes.
   * @returns them where they are, in memory that is used again when it is released; what is left is moved
   */
  take(length: number, records: number): {bytes: Uint8Array; release: () => void} {
    const memory = this.#memory!;
    const rest = memory.subarray(length, this.#length);
    this.#memory = rest.length === 0 ? undefined : takeMemory(rest.length);
    if (this.#memory !== undefined) copyShared(this.#memory, 0, rest);
    this.#length = rest.length;
    this.records -= records;
    return {bytes: memory.subarray(0, length), release: once(() => releaseMemory(memory))};
  }
}

const mebibyte = 1024 * 1024;
/**
 * Of the memory of chunks that are made of several extractions. It is shared, so that the threads that compress read
 * the chunks where they are, and used again, because fresh memory costs more than copying into it. What a chunk does
 * not need of its memory is not touched. The smaller one keeps small chunks from holding what a large one had touched.
 */
const memoryBytes = [mebibyte, 4 * mebibyte];
/** By these sizes. All trees of a process share it: they are read one after the other. */
const unused: Uint8Array[][] = memoryBytes.map(() => []);

function takeMemory(bytes: number): Uint8Array {
  const size = memoryBytes.findIndex((most) => bytes <= most);
  // Few chunks are larger: they have few records.
  if (size < 0) return new Uint8Array(bytes);
  return unused[size]!.pop() ?? new Uint8Array(new SharedArrayBuffer(memoryBytes[size]!));
}

function releaseMemory(memory: Uint8Array): void {
  const {buffer} = memory;
  if (buffer instanceof ArrayBuffer) releaseOf(memory as Uint8Array<ArrayBuffer>)();
  else unused[memoryBytes.indexOf(memory.length)]!.push(memory);
}

/** Gives memory back at once: the garbage collector would keep many chunks for a while. */
export function releaseOf({buffer}: Uint8Array<ArrayBuffer>): () => void {
  return () => {
    if (!buffer.detached) buffer.transfer(0);
  };
}
