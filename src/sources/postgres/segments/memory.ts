import {assert} from '../../../errors/index.ts';
import {copyShared} from '../../../lib/memory.ts';
import {giveArea, takeArea} from '../rows/areas.ts';

/** Segments usually fit: what a base cuts at 1 MiB, a read of the socket, and what is too small for its own segment. */
const standardBytes = 1536 * 1024;

/** A segment that is being filled. Its memory is shared, so that the threads that compress need no copy of it. */
export class OpenSegment {
  rows = 0;
  #length = 0;
  #memory: Uint8Array | undefined = takeArea(standardBytes);

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array, rows: number): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#all.length) {
      // Memory of its own: an area would never be freed.
      const larger = new Uint8Array(new SharedArrayBuffer(Math.max(needed, 2 * this.#all.length)));
      copyShared(larger, 0, this.bytes());
      this.release();
      this.#memory = larger;
    }
    copyShared(this.#all, this.#length, bytes);
    this.#length = needed;
    this.rows += rows;
  }

  bytes(): Uint8Array {
    return this.#all.subarray(0, this.#length);
  }

  /** Its memory is used again; may be called twice. */
  release(): void {
    if (this.#memory?.length === standardBytes) giveArea(this.#memory);
    this.#memory = undefined;
  }

  get #all(): Uint8Array {
    assert(this.#memory !== undefined, 'a segment is not used after its release');
    return this.#memory;
  }
}
