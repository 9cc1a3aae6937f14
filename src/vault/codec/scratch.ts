/** Memory for intermediate results, reused by the next call: fresh pages cost more than most work on them. */
export class Scratch {
  #bytes = new Uint8Array(0);

  /** Returns the same memory each time, not cleared. */
  of(sizeBytes: number): Uint8Array {
    if (this.#bytes.length < sizeBytes) this.#bytes = new Uint8Array(sizeBytes);
    return this.#bytes.subarray(0, sizeBytes);
  }
}
