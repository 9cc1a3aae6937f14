/** The serial types of a block of records that is being joined. */
import {readMixedVarint, varintEnd} from '../varint';
import {isUniform, largest, scan} from './blocks';
import {
  columnBytes,
  columnTable,
  hasDifferences,
  isInteger,
  lengthOfAll,
  mostHeaderBytes,
  mostLength,
  shortSize,
  types,
  typesAt,
  typesEnd,
} from './streams';

/** By record: bytes of serial types that do not fit one byte, beyond the first ones (u32). */
export const extraTypeBytes: usize = memory.data(64 * 4, 16);
/** By record: bytes of the values in columns that are not uniform (u64). */
export const valueSums: usize = memory.data(64 * 8, 16);
/** Of each record: bytes of the values in uniform columns. */
export let uniformSum: u64 = 0;
/** By record: where the next serial type is written, and where the next value (u32). */
export const headAts: usize = memory.data(64 * 4, 16);
export const valueAts: usize = memory.data(64 * 4, 16);
/** By column and record: the length of a value, with the flag of integers that are differences (u32). */
export const lengths: usize = memory.data(126 * 64 * 4, 16);
export const lengthsRow: usize = 64 * 4;
/** In place of the one length that all values have. */
export const noLengthOfAll: u32 = u32.MAX_VALUE;

/** Whether no type of the block has more than a byte. */
let areShort: bool = true;

export function beginBlock(): void {
  memory.fill(extraTypeBytes, 0, 64 * 4);
  memory.fill(valueSums, 0, 64 * 8);
  uniformSum = 0;
  areShort = true;
}

/**
 * Reads the serial types of a column.
 * @param count of columns
 * @param size of the block
 * @returns false if one is not there, its value is longer than `most`, or a header becomes too long
 */
export function readTypes(c: u32, count: u32, size: u32, most: u32): bool {
  const column = columnTable + c * columnBytes;
  const at: usize = load<u32>(column, types);
  const end: usize = load<u32>(column, typesEnd);
  // Each of them takes a byte at least.
  if ((size as usize) > end - at) return false;
  store<u32>(column, at as u32, typesAt);
  scan(at, size);
  if (largest >= 0x80) return readLongTypes(column, c, count, size, most);
  store<u32>(column, (at + size) as u32, types);
  const flag = load<u32>(column, hasDifferences);
  if (isUniform) {
    const type: u32 = load<u8>(at);
    store<u32>(column, isInteger(type) ? shortSize(type) | flag : shortSize(type), lengthOfAll);
    uniformSum += shortSize(type);
    return true;
  }
  store<u32>(column, noLengthOfAll, lengthOfAll);
  // Types of values without a length of their own are smaller than those of values with as many bytes.
  store<u32>(column, largest < 12 ? 8 : shortSize(largest), mostLength);
  const length = lengths + c * lengthsRow;
  for (let i: u32 = 0; i < size; i++) {
    const type: u32 = load<u8>(at + i);
    const bytes: u32 = shortSize(type);
    store<u64>(valueSums + 8 * i, load<u64>(valueSums + 8 * i) + bytes);
    store<u32>(length + 4 * i, bytes | select<u32>(flag, 0, isInteger(type)));
  }
  return true;
}

/** As {@link readTypes}, when some of them have more than a byte. */
function readLongTypes(column: usize, c: u32, count: u32, size: u32, most: u32): bool {
  areShort = false;
  const end: usize = load<u32>(column, typesEnd);
  const flag = load<u32>(column, hasDifferences);
  const length = lengths + c * lengthsRow;
  let at: usize = load<u32>(column, types);
  for (let i: u32 = 0; i < size; i++) {
    if (at >= end) return false;
    const type = readMixedVarint(at);
    const extra = load<u32>(extraTypeBytes + 4 * i) + ((varintEnd - at) as u32) - 1;
    at = varintEnd;
    const bytes = select<u64>((type - 12) >> 1, shortSize((type & 0x7f) as u32), type >= 12);
    if (bytes > (most as u64) || extra + count + 1 > mostHeaderBytes) return false;
    store<u32>(extraTypeBytes + 4 * i, extra);
    store<u64>(valueSums + 8 * i, load<u64>(valueSums + 8 * i) + bytes);
    store<u32>(length + 4 * i, (bytes as u32) | select<u32>(flag, 0, type - 1 < 6));
  }
  store<u32>(column, at as u32, types);
  store<u32>(column, noLengthOfAll, lengthOfAll);
  store<u32>(column, most, mostLength);
  return true;
}

/** Writes the types that were read. */
export function writeTypes(count: u32, size: u32): void {
  for (let c: u32 = 0; c < count; c++) {
    const column = columnTable + c * columnBytes;
    const at: usize = load<u32>(column, typesAt);
    if (areShort) writeShortTypes(at, c, size);
    else if (load<u32>(column) - (at as u32) == size) writeTypesAfterLong(at, size);
    else writeLongTypes(at, size);
  }
}

/** The place of a type is known if those before it have a byte each. */
function writeShortTypes(at: usize, c: u32, size: u32): void {
  for (let i: u32 = 0; i < size; i++) store<u8>(load<u32>(headAts + 4 * i) + c, load<u8>(at + i));
}

function writeTypesAfterLong(at: usize, size: u32): void {
  for (let i: u32 = 0; i < size; i++) {
    const to = load<u32>(headAts + 4 * i);
    store<u32>(headAts + 4 * i, to + 1);
    store<u8>(to, load<u8>(at + i));
  }
}

/** They have at most eight bytes: longer ones are those of values that are too long. */
function writeLongTypes(from: usize, size: u32): void {
  let at = from;
  for (let i: u32 = 0; i < size; i++) {
    const to = load<u32>(headAts + 4 * i);
    const bytes = load<u64>(at);
    const lastBit = ctz<u64>(~bytes & 0x8080808080808080);
    const written = u64.MAX_VALUE >> (63 - lastBit);
    store<u64>(to, (load<u64>(to) & ~written) | (bytes & written));
    const length = ((lastBit >> 3) as u32) + 1;
    store<u32>(headAts + 4 * i, to + length);
    at += length;
  }
}
