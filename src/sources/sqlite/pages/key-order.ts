import {varintAt, varintEnd} from './big-endian.ts';

/** How SQLite compares one column of a key (https://www.sqlite.org/datatype3.html#collation). */
export type KeyColumn = {descends: boolean; collation: Collation};
export type Collation = 'BINARY' | 'NOCASE' | 'RTRIM';

/** Two neighbouring records of a tree are not in the order of its key. */
export class OutOfOrder extends Error {}

/**
 * Checks that the rows of a table without rowid are in the order of their key. A row in the wrong place is not found by
 * its key, and SQLite's `quick_check` does not notice it.
 */
export class KeyOrder {
  readonly #columns: readonly KeyColumn[];
  /** The payload of the last record. */
  #last: Buffer | undefined;

  /** @param columns of the key; a record begins with them */
  constructor(columns: readonly KeyColumn[]) {
    this.#columns = columns;
  }

  /**
   * @param chunk the next records of the tree, whose values are known to add up to their sizes
   * @throws OutOfOrder
   */
  check(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let before = this.#last;
    let beforeAt = 0;
    let end = 0;
    while (end < bytes.length) {
      const payloadBytes = varintAt(bytes, end);
      const payload = varintEnd;
      if (before !== undefined && this.#compare(before, beforeAt, bytes, payload) >= 0) throw new OutOfOrder();
      before = bytes;
      beforeAt = payload;
      end = payload + payloadBytes;
    }
    // The memory of the chunk is used again.
    if (before === bytes) this.#last = Buffer.from(bytes.subarray(beforeAt, end));
  }

  /** The payloads that begin at `oneAt` and `otherAt`; https://www.sqlite.org/fileformat2.html#record_format. */
  #compare(one: Buffer, oneAt: number, other: Buffer, otherAt: number): number {
    let oneValue = oneAt + varintAt(one, oneAt);
    let oneTypes = varintEnd;
    let otherValue = otherAt + varintAt(other, otherAt);
    let otherTypes = varintEnd;
    for (const {descends, collation} of this.#columns) {
      const oneType = varintAt(one, oneTypes);
      oneTypes = varintEnd;
      const otherType = varintAt(other, otherTypes);
      otherTypes = varintEnd;
      const left = {bytes: one, type: oneType, at: oneValue, end: oneValue + sizeOf(oneType)};
      const right = {bytes: other, type: otherType, at: otherValue, end: otherValue + sizeOf(otherType)};
      const order = compareValues(left, right, collation);
      if (order !== 0) return descends ? -order : order;
      oneValue = left.end;
      otherValue = right.end;
    }
    return 0;
  }
}

type Value = {bytes: Buffer; type: number; at: number; end: number};

const fixedSizes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0];
const sizeOf = (type: number) => fixedSizes[type] ?? Math.floor((type - 12) / 2);

/** NULL, numbers, texts, blobs: the order of SQLite's classes. */
function classOf(type: number): number {
  if (type === 0) return 0;
  if (type < 12) return 1;
  return type % 2 === 1 ? 2 : 3;
}

function compareValues(one: Value, other: Value, collation: Collation): number {
  const [left, right] = [classOf(one.type), classOf(other.type)];
  if (left !== right) return left - right;
  switch (left) {
    case 0:
      return 0;
    case 1: {
      const [a, b] = [numberOf(one), numberOf(other)];
      // JavaScript compares a bigint with a number exactly, as SQLite does.
      return a < b ? -1 : a > b ? 1 : 0;
    }
    case 2:
      return compareTexts(one, other, collation);
    default:
      return compareBytes(one, other);
  }
}

function numberOf({bytes, type, at, end}: Value): number | bigint {
  if (type === 7) return bytes.readDoubleBE(at);
  if (type >= 8) return type - 8;
  return type === 6 ? bytes.readBigInt64BE(at) : bytes.readIntBE(at, end - at);
}

const compareBytes = (one: Value, other: Value) => one.bytes.compare(other.bytes, other.at, other.end, one.at, one.end);

/** The functions of these collations are in SQLite's main.c: binCollFunc, nocaseCollatingFunc, rtrimCollFunc. */
function compareTexts(one: Value, other: Value, collation: Collation): number {
  switch (collation) {
    case 'BINARY':
      return compareBytes(one, other);
    case 'RTRIM':
      return compareBytes({...one, end: withoutSpaces(one)}, {...other, end: withoutSpaces(other)});
    case 'NOCASE':
      return compareWithoutCase(one, other);
  }
}

function withoutSpaces({bytes, at, end}: Value): number {
  let last = end;
  while (last > at && bytes[last - 1] === 0x20) last--;
  return last;
}

/** Stops at a zero byte: what follows it does not count, but the lengths do. */
function compareWithoutCase(one: Value, other: Value): number {
  const length = Math.min(one.end - one.at, other.end - other.at);
  for (let n = 0; n < length; n++) {
    const [a, b] = [lower(one.bytes[one.at + n]!), lower(other.bytes[other.at + n]!)];
    if (a !== b) return a - b;
    if (a === 0) break;
  }
  return one.end - one.at - (other.end - other.at);
}

const lower = (byte: number) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
