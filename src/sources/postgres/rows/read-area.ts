import {copyShared} from '../../../lib/memory.ts';
import {giveArea, takeArea} from './areas.ts';

/** What is read at once, at most. */
const readBytes = 256 * 1024;

/** Memory into which a connection reads: what was kept, and behind it what came last. */
export class ReadArea {
  #memory: Uint8Array | undefined = takeArea(readBytes);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#all.subarray(0, this.#length);
  }

  /** Where the next bytes belong; never empty. */
  get room(): Uint8Array {
    return this.#all.subarray(this.#length);
  }

  get largest(): number {
    return readBytes;
  }

  get #all(): Uint8Array {
    // A socket may still ask for it after its end; nothing is read then.
    this.#memory ??= new Uint8Array(readBytes);
    return this.#memory;
  }

  /** Bytes that were put into `room`. */
  add(count: number): void {
    this.#length += count;
  }

  /** As many of the bytes as there is room for. @returns how many */
  fill(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, readBytes - this.#length);
    copyShared(this.#all, this.#length, bytes.subarray(0, count));
    this.#length += count;
    return count;
  }

  /** Keeps the last bytes, fewer than {@link largest}. */
  keep(count: number): void {
    if (count > 0) this.#all.copyWithin(0, this.#length - count, this.#length);
    this.#length = count;
  }

  /** To be called once nothing is read any more. */
  release(): void {
    if (this.#memory !== undefined && this.#memory.buffer instanceof SharedArrayBuffer) giveArea(this.#memory);
    this.#memory = undefined;
  }
}
