import {copiedBytes, copyShared} from '../../lib/memory.ts';
import {type ChunkEncoding, chunkEncodings} from '../format/entry.ts';
import {hashHex} from '../format/hash.ts';
import type {ChunkId} from '../types.ts';
import type {RecordKind} from './columns/columns.ts';
import type {StoredBase} from './decode.ts';
import {type ColumnPart, type EncodedChunk, type PlainChunk, roundTripFailed} from './encode.ts';

/** A range of bytes in memory that is shared with the thread: that of the batch if `memory` is absent. */
export type Part = {memory?: SharedArrayBuffer | undefined; at: number; length: number};

export type BatchJob = {
  id: ChunkId;
  plain: Part;
  column?: ColumnPart | undefined;
  records?: RecordKind | undefined;
  base?: (Omit<StoredBase, 'stored'> & {stored: Part}) | undefined;
  /** Where the stored form may be written; it is never longer than the plain one. */
  out: number;
};

/** What a thread is sent. */
export type Batch = {memory: SharedArrayBuffer; jobs: readonly BatchJob[]};

/** `check`: BLAKE3 of the stored bytes as the thread wrote them, 64 hex digits. */
export type EncodedPart = {encoding: ChunkEncoding; stored: Part; check: string; base?: ChunkId | undefined};

/** In the order of the jobs. */
export type BatchResult = (EncodedPart | {error: string})[];

/**
 * Chunks and their bases that one batch can hold; larger ones are encoded on the main thread. Memory that no chunk
 * needs is never touched.
 */
const batchBytes = 6 * 1024 * 1024;

/** A batch this large is worth waking a thread for. */
const fullBytes = 1024 * 1024;

type Waiter = {
  id: ChunkId;
  plain: Uint8Array;
  resolve: (encoded: EncodedChunk) => void;
  reject: (error: Error) => void;
};

/**
 * Memory that is filled for one batch after the other: plain bytes in its first half, stored ones in its second. Plain
 * bytes that are in shared memory already stay where they are: copying into and out of shared memory takes twice as
 * long as other copying, for all chunks a twentieth of a backup's CPU.
 */
export class BatchMemory {
  readonly #memory = new SharedArrayBuffer(2 * batchBytes);
  readonly #bytes = new Uint8Array(this.#memory);
  #jobs: BatchJob[] = [];
  #waiters: Waiter[] = [];
  /** Of the first half, by what was put into it. */
  #inBytes = 0;
  /** Of the second half, by what may be put into it. */
  #outBytes = 0;

  static fits({plain, base}: Pick<PlainChunk, 'plain' | 'base'>): boolean {
    return aligned(plain.length) + (base?.stored.length ?? 0) <= batchBytes;
  }

  get isEmpty(): boolean {
    return this.#jobs.length === 0;
  }

  get isFull(): boolean {
    return Math.max(this.#inBytes, this.#outBytes) >= fullBytes;
  }

  hasRoomFor({plain, base}: PlainChunk): boolean {
    const inBytes = (isShared(plain) ? 0 : aligned(plain.length)) + (base?.stored.length ?? 0);
    return aligned(this.#inBytes) + inBytes <= batchBytes && this.#outBytes + plain.length <= batchBytes;
  }

  /** @returns what the thread makes of the chunk; settled by `settle` or `fail` */
  add({id, plain, column, records, base}: PlainChunk): Promise<EncodedChunk> {
    const out = this.#outBytes;
    this.#outBytes = aligned(out + plain.length);
    const {byteOffset: place, length} = plain;
    const part = isShared(plain) ? {memory: plain.buffer, at: place, length} : this.#put(plain);
    const basePart = base && {...base, stored: this.#put(base.stored)};
    this.#jobs.push({id, plain: part, out: batchBytes + out, column, records, base: basePart});
    return new Promise((resolve, reject) => this.#waiters.push({id, plain, resolve, reject}));
  }

  batch(): Batch {
    return {memory: this.#memory, jobs: this.#jobs};
  }

  /** Hands out the results and empties the memory. */
  settle(results: BatchResult): void {
    const waiters = this.#clear();
    for (const [at, result] of results.entries()) {
      const {id, plain, resolve, reject} = waiters[at]!;
      if ('error' in result) {
        reject(roundTripFailed(id, new Error(result.error)));
        continue;
      }
      const {stored: part, check, ...encoded} = result;
      // A copy: the memory is reused for the next batch.
      const stored =
        result.encoding === chunkEncodings.plain
          ? plain
          : copiedBytes(this.#bytes.subarray(part.at, part.at + part.length));
      if (hashHex(stored) === check) resolve({...encoded, stored});
      else reject(roundTripFailed(id, new Error('its bytes changed on their way from the thread that compressed it')));
    }
  }

  fail(error: Error): void {
    for (const {reject} of this.#clear()) reject(error);
  }

  #put(bytes: Uint8Array): Part {
    const at = aligned(this.#inBytes);
    const {length} = bytes;
    copyShared(this.#bytes, at, bytes);
    this.#inBytes = at + length;
    return {at, length};
  }

  #clear(): Waiter[] {
    const waiters = this.#waiters;
    this.#jobs = [];
    this.#waiters = [];
    this.#inBytes = 0;
    this.#outBytes = 0;
    return waiters;
  }
}

const isShared = (bytes: Uint8Array): bytes is Uint8Array<SharedArrayBuffer> => !(bytes.buffer instanceof ArrayBuffer);

/** Numbers of eight bytes are read in place, so each part begins at a multiple of eight. */
const aligned = (at: number) => (at + 7) & ~7;
