import {isMarkedAsUntransferable} from 'node:worker_threads';

/** Memory for what is not needed after the next call: fresh pages cost more than most work on them. */
export class Scratch {
  #bytes = new Uint8Array(0);

  /** The same memory each time, whatever is in it. */
  of(sizeBytes: number): Uint8Array {
    if (this.#bytes.length < sizeBytes) this.#bytes = new Uint8Array(sizeBytes);
    return this.#bytes.subarray(0, sizeBytes);
  }

  /** The same as words of four bytes. */
  words(count: number): Int32Array {
    return new Int32Array(this.of(4 * count).buffer, 0, count);
  }
}

/** Frees memory that nobody looks at any more. The collector would let it lie about, some 60 MiB on each thread. */
export function free({buffer}: Uint8Array): void {
  // Small results share a buffer, which Node has marked; of views of one buffer the first one frees it.
  if (buffer instanceof ArrayBuffer && !buffer.detached && !isMarkedAsUntransferable(buffer)) buffer.transfer(0);
}
