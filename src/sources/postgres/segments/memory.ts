/** Segments usually fit: what a base cuts at 1 MiB, a read of the socket, and what is too small for its own segment. */
const standardBytes = 1536 * 1024;
const mostKept = 12;

/** Memory of segments, used again. It is shared, so that the threads that compress need no copy of it. */
export class SegmentMemory {
  readonly #free: Uint8Array[] = [];

  /** Memory for at least so many bytes. */
  take(bytes: number): Uint8Array {
    if (bytes > standardBytes) return new Uint8Array(new SharedArrayBuffer(bytes));
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(standardBytes));
  }

  /** The memory may be used for another segment. */
  give(memory: Uint8Array): void {
    if (memory.length === standardBytes && this.#free.length < mostKept) this.#free.push(memory);
  }
}

/** A segment that is being filled. */
export class OpenSegment {
  rows = 0;
  #length = 0;
  readonly #memory: SegmentMemory;
  #bytes: Uint8Array;

  constructor(memory: SegmentMemory) {
    this.#memory = memory;
    this.#bytes = memory.take(0);
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array, rows: number): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const larger = this.#memory.take(Math.max(needed, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#memory.give(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
    this.rows += rows;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  release(): void {
    this.#memory.give(this.#bytes);
  }
}
