import {isMarkedAsUntransferable} from 'node:worker_threads';

/** Memory for intermediate results, reused by the next call: fresh pages cost more than most work on them. */
export class Scratch {
  #bytes = new Uint8Array(0);

  /** Returns the same memory each time, not cleared. */
  of(sizeBytes: number): Uint8Array {
    if (this.#bytes.length < sizeBytes) this.#bytes = new Uint8Array(sizeBytes);
    return this.#bytes.subarray(0, sizeBytes);
  }

  /** The same memory as 32-bit words. */
  words(count: number): Int32Array {
    return new Int32Array(this.of(4 * count).buffer, 0, count);
  }
}

/**
 * Frees the memory of bytes that are no longer used. Left to the garbage collector it accumulates to about 60
 * MiB on each thread.
 */
export function free({buffer}: Uint8Array): void {
  // Small results share a buffer that Node marks as untransferable. Of several views of a buffer the first call
  // frees it.
  if (buffer instanceof ArrayBuffer && !buffer.detached && !isMarkedAsUntransferable(buffer)) buffer.transfer(0);
}
