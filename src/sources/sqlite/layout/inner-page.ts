import {innerType} from '../pages/page-types.ts';

const headerBytes = 12;
const pointerBytes = 2;
const childBytes = 4;

export type PageFormat = {
  pageSize: number;
  /** Without the reserved bytes at the end. */
  usableBytes: number;
};

/** A child with the key that separates it from the next child, as an inner page has it in a cell. */
export type Child = {page: number; key: Uint8Array};

/** Bytes are in base64. */
export type InnerPageState = {bytes: string; cells: number; top: number; separator?: string};

/** An inner page that is being filled, its cells from its end down. */
export class InnerPage {
  readonly bytes: Buffer;
  #cells = 0;
  #top: number;
  /** What separates this page from the next one of its level; known when it is full. */
  separator: Uint8Array | undefined;

  constructor({pageSize, usableBytes}: PageFormat, {isTable}: {isTable: boolean}, kept?: InnerPageState) {
    this.bytes = Buffer.alloc(pageSize);
    this.bytes[0] = isTable ? innerType.rowid : innerType.key;
    this.#top = usableBytes;
    if (kept === undefined) return;
    this.bytes.set(Buffer.from(kept.bytes, 'base64').subarray(0, pageSize));
    this.#cells = kept.cells;
    this.#top = kept.top;
    if (kept.separator !== undefined) this.separator = Buffer.from(kept.separator, 'base64');
  }

  /** All of it, to be continued by another process. */
  state(): InnerPageState {
    const {separator} = this;
    return {
      ...{bytes: this.bytes.toString('base64'), cells: this.#cells, top: this.#top},
      ...(separator === undefined ? {} : {separator: Buffer.from(separator).toString('base64')}),
    };
  }

  get cells(): number {
    return this.#cells;
  }

  /** @returns false if it has no room for the cell */
  add({page, key}: Child): boolean {
    const top = this.#top - childBytes - key.length;
    const pointer = headerBytes + this.#cells * pointerBytes;
    if (pointer + pointerBytes > top) return false;
    this.bytes.writeUInt32BE(page, top);
    this.bytes.set(key, top + childBytes);
    this.bytes.writeUInt16BE(top, pointer);
    this.#top = top;
    this.#cells++;
    this.#writeCounts();
    return true;
  }

  /** The child after the last cell. */
  get rightmost(): number {
    return this.bytes.readUInt32BE(headerBytes - childBytes);
  }

  set rightmost(page: number) {
    this.bytes.writeUInt32BE(page, headerBytes - childBytes);
  }

  /** Removes the last cell. The page has more than one. */
  removeLast(): Child {
    const pointer = headerBytes + (this.#cells - 1) * pointerBytes;
    // The cell before begins where this one ends.
    const end = this.bytes.readUInt16BE(pointer - pointerBytes);
    const child = {
      page: this.bytes.readUInt32BE(this.#top),
      key: Uint8Array.from(this.bytes.subarray(this.#top + childBytes, end)),
    };
    this.bytes.fill(0, this.#top, end);
    this.bytes.fill(0, pointer, pointer + pointerBytes);
    this.#top = end;
    this.#cells--;
    this.#writeCounts();
    return child;
  }

  #writeCounts(): void {
    this.bytes.writeUInt16BE(this.#cells, 3);
    this.bytes.writeUInt16BE(this.#top, 5);
  }
}
