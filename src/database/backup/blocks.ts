/** Reuses the memory of blocks: allocating memory costs more than reading a file into it. */
export class Blocks {
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #taken = new WeakSet<ArrayBuffer>();

  take(sizeBytes: number): Buffer {
    // The last block of a file can have any size. Rounding up to a power of two keeps the number of sizes small.
    const capacityBytes = 2 ** Math.ceil(Math.log2(Math.max(sizeBytes, 1)));
    const memory = this.#free.get(capacityBytes)?.pop() ?? new ArrayBuffer(capacityBytes);
    this.#taken.add(memory);
    return Buffer.from(memory, 0, sizeBytes);
  }

  /** @param block must no longer be used by the caller; memory that is not from `take` is ignored */
  release(block: Uint8Array): void {
    const memory = block.buffer as ArrayBuffer;
    if (!this.#taken.delete(memory)) return;
    const free = this.#free.get(memory.byteLength) ?? [];
    free.push(memory);
    this.#free.set(memory.byteLength, free);
  }
}
