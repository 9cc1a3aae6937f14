import {idBytes} from '../format/hash.ts';
import type {ChunkId, IdBytes} from '../types.ts';

/** Chunk ids in 32 bytes each: a backup of 1 TiB in blocks of 64 KiB has 16 million of them. */
export class IdList {
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** A list of `length` ids that are still to be set. */
  static empty(length: number): IdList {
    return new IdList(Buffer.alloc(length * idBytes));
  }

  static of(ids: readonly ChunkId[]): IdList {
    const list = IdList.empty(ids.length);
    for (const [at, id] of ids.entries()) list.set(at, id);
    return list;
  }

  /** A view of ids; the bytes are not copied. */
  static over({buffer, byteOffset, length}: IdBytes): IdList {
    return new IdList(Buffer.from(buffer as ArrayBuffer, byteOffset, length));
  }

  get length(): number {
    return this.#bytes.length / idBytes;
  }

  set(at: number, id: ChunkId): void {
    this.#bytes.write(id, at * idBytes, 'hex');
  }

  at(at: number): ChunkId {
    return this.#bytes.toString('hex', at * idBytes, (at + 1) * idBytes) as ChunkId;
  }

  range(start: number, count: number): ChunkId[] {
    return Array.from({length: count}, (_, n) => this.at(start + n));
  }

  /** The bytes of these ids, not copied. */
  bytes(start = 0, end = this.length): Buffer {
    return this.#bytes.subarray(start * idBytes, end * idBytes);
  }

  copyFrom(other: IdList, from: {start: number; count: number}, to: number): void {
    other.bytes(from.start, from.start + from.count).copy(this.#bytes, to * idBytes);
  }
}
