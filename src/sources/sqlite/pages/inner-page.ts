import {rowidAt, varintAt, varintEnd} from './big-endian.ts';
import {PageFault} from './page-fault.ts';
import {innerType, localBytes} from './page-types.ts';

const headerBytes = 12;

/** An inner page of a tree: n cells, each with a child before it, and one more child after the last cell. */
export class InnerPage {
  readonly page: number;
  readonly cells: number;
  readonly #bytes: Buffer;

  /** @throws PageFault when its header, its cells and its free blocks contradict each other */
  constructor(page: number, bytes: Buffer, {kind, usableBytes}: {kind: 'rowid' | 'key'; usableBytes: number}) {
    this.page = page;
    this.#bytes = bytes;
    const names = {rowid: 'a table', key: 'an index or of a table without rowid'};
    if (bytes[0] !== innerType[kind]) throw new PageFault(page, `is not an inner page of ${names[kind]}`);
    this.cells = bytes.readUInt16BE(3);
    const contentAt = bytes.readUInt16BE(5) || 65536;
    if (contentAt < headerBytes + 2 * this.cells || contentAt > usableBytes) {
      throw new PageFault(page, 'has a header that contradicts its size');
    }
    let used = contentAt + bytes[7]! + this.#freeBytes(contentAt, usableBytes);
    for (let cell = 0; cell < this.cells; cell++) {
      const at = this.#cellAt(cell);
      if (at < contentAt || at + 5 > usableBytes)
        throw new PageFault(page, 'has a pointer to a cell outside its content');
      const size = kind === 'rowid' ? rowidCellBytes(bytes, at) : keyCellBytes(bytes, at, usableBytes);
      if (at + size > usableBytes) throw new PageFault(page, 'has a cell that continues beyond its end');
      used += size;
    }
    // Otherwise cells overlap, or a free block was lost.
    if (used !== usableBytes) throw new PageFault(page, 'has cells and free blocks that do not add up to its size');
  }

  /** The child before a cell. @param cell up to and including `cells` */
  child(cell: number): number {
    return this.#bytes.readUInt32BE(cell === this.cells ? 8 : this.#cellAt(cell));
  }

  /** Rowid trees: no rowid in the child before the cell is larger. */
  rowid(cell: number): bigint {
    return rowidAt(this.#bytes, this.#cellAt(cell) + 4);
  }

  #cellAt(cell: number): number {
    return this.#bytes.readUInt16BE(headerBytes + 2 * cell);
  }

  #freeBytes(contentAt: number, usableBytes: number): number {
    let bytes = 0;
    let least = contentAt;
    for (let at = this.#bytes.readUInt16BE(1); at !== 0; at = this.#bytes.readUInt16BE(at)) {
      if (at < least || at + 4 > usableBytes) throw new PageFault(this.page, 'has a damaged list of free blocks');
      const size = this.#bytes.readUInt16BE(at + 2);
      bytes += size;
      least = at + Math.max(4, size);
    }
    return bytes;
  }
}

function rowidCellBytes(bytes: Buffer, at: number): number {
  varintAt(bytes, at + 4);
  return varintEnd - at;
}

function keyCellBytes(bytes: Buffer, at: number, usableBytes: number): number {
  const payload = varintAt(bytes, at + 4);
  const local = localBytes(payload, usableBytes, 'key');
  return varintEnd - at + local + (local < payload ? 4 : 0);
}
