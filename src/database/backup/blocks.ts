/** Memory for blocks, used again when it was given back: fresh memory costs more than reading a file into it. */
export class Blocks {
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #lent = new WeakSet<ArrayBuffer>();

  take(sizeBytes: number): Buffer {
    // Ends of files are of any size: so only a few sizes are kept.
    const roomBytes = 2 ** Math.ceil(Math.log2(Math.max(sizeBytes, 1)));
    const memory = this.#free.get(roomBytes)?.pop() ?? new ArrayBuffer(roomBytes);
    this.#lent.add(memory);
    return Buffer.from(memory, 0, sizeBytes);
  }

  /** @param block nobody may look at it any more; memory from elsewhere is left alone */
  give(block: Uint8Array): void {
    const memory = block.buffer as ArrayBuffer;
    if (!this.#lent.delete(memory)) return;
    const free = this.#free.get(memory.byteLength) ?? [];
    free.push(memory);
    this.#free.set(memory.byteLength, free);
  }
}
