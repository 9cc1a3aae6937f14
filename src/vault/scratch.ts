/** Memory for what is not needed after the next call: fresh pages cost more than most work on them. */
export class Scratch {
  #bytes = new Uint8Array(0);

  /** The same memory each time, whatever is in it. */
  of(sizeBytes: number): Uint8Array {
    if (this.#bytes.length < sizeBytes) this.#bytes = new Uint8Array(sizeBytes);
    return this.#bytes.subarray(0, sizeBytes);
  }
}

/** Frees memory that nobody looks at any more. The collector would let it lie about, tens of MiB on each thread. */
export function forget({buffer}: Uint8Array): void {
  // What is smaller may be a part of the pool from which Node makes small buffers.
  if (buffer.byteLength > Buffer.poolSize) (buffer as ArrayBuffer).transfer(0);
}
