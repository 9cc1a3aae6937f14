import {copyShared} from '../../../lib/memory.ts';
import {varintAt, varintEnd} from '../pages/big-endian.ts';
import {type LayoutMemory, mostChunkBytes, type Slot} from './layout-memory.ts';
import {NotRecords} from './not-records.ts';

/** Chunks of one tree in a slot, which a thread lays out together. */
export class Piece {
  readonly slot: Slot;
  readonly isFirst: boolean;
  readonly #memory: LayoutMemory;
  #bytes = 0;

  constructor(memory: LayoutMemory, slot: Slot, {isFirst}: {isFirst: boolean}) {
    this.#memory = memory;
    this.slot = slot;
    this.isFirst = isFirst;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The slot has room for two chunks. @throws NotRecords if a backup has no chunks like these */
  append(chunk: Uint8Array): void {
    if (chunk.length > mostChunkBytes) throw new NotRecords(`a chunk of ${chunk.length} bytes is too large`);
    if (this.#bytes + chunk.length > this.slot.bytes) throw new NotRecords('a record is longer than its chunk');
    copyShared(this.#memory.bytes, this.slot.at + this.#bytes, chunk);
    this.#bytes += chunk.length;
  }

  /** Whether a key tree's records are a single one: it cannot both fill a leaf and separate it from the next one. */
  get isOneRecord(): boolean {
    const payload = varintAt(this.#memory.bytes, this.slot.at);
    return varintEnd + payload >= this.slot.at + this.#bytes;
  }
}
