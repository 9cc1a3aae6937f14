/** Blocks of records that have equally many serial types of one byte each, of which each becomes columns at once. */
import {readVarint, varintEnd, varintSize, writeVarint} from '../varint';
import {blockRecords, isUniform, largest, masksEnd, scan} from './blocks';
import {
  before,
  columnBytes,
  columnTable,
  copyValue,
  differenceBytes,
  hasDifferences,
  integerBytes,
  isInteger,
  mostHeaderBytes,
  readInteger,
  shortSize,
  types,
  values,
  valuesEnd,
  zigzag,
} from './streams';

/** Fewer records are faster one by one. */
export const leastBlockRecords: u32 = 4;

/** By record of a block: its next value, and its end (u32), and its rowid (i64). */
const valueAts: usize = memory.data(64 * 4, 16);
const ends: usize = memory.data(64 * 4, 16);
const rowids: usize = memory.data(64 * 8, 16);
/** By column: whether the types of a block are equal (u8), and the largest one (u8). */
const uniform: usize = memory.data(128, 16);
const largestTypes: usize = memory.data(128, 16);

/** Of the block that was read last: its number of columns, and where it ends. */
export let blockColumns: u32 = 0;
export let blockEnd: usize = 0;

/**
 * Finds the records of a block, and checks all but their types and values.
 * @param most records
 * @param typeAts receives where the types of each record begin (u32), at most 64 of them
 * @returns how many there are; the record after them is no part of it, or no record
 */
export function readBlock(plain: usize, plainEnd: usize, hasRowids: bool, most: u32, typeAts: usize): u32 {
  const limit = most < blockRecords ? most : blockRecords;
  let at = plain;
  let size: u32 = 0;
  let headerBytes: u32 = u32.MAX_VALUE;
  while (size < limit && at < plainEnd) {
    let payloadBytes: u64 = load<u8>(at);
    let payload = at + 1;
    if (payloadBytes >= 0x80) {
      payloadBytes = readVarint(at);
      payload = varintEnd;
      if (((payload - at) as u32) != varintSize(payloadBytes)) break;
    }
    if (hasRowids) {
      const rowid = readVarint(payload);
      if (!isShortest(payload, rowid)) break;
      store<u64>(rowids + 8 * size, rowid);
      payload = varintEnd;
    }
    if (payload >= plainEnd || payloadBytes > ((plainEnd - payload) as u64)) break;
    const header: u32 = load<u8>(payload);
    if (header != headerBytes) {
      if (size != 0 || header - 1 >= mostHeaderBytes) break;
      headerBytes = header;
    }
    if ((header as u64) > payloadBytes) break;
    at = payload + (payloadBytes as usize);
    store<u32>(typeAts + 4 * size, (payload + 1) as u32);
    store<u32>(valueAts + 4 * size, (payload + header) as u32);
    store<u32>(ends + 4 * size, at as u32);
    size++;
  }
  blockColumns = headerBytes - 1;
  blockEnd = at;
  return size;
}

/** Whether a varint that ends at `varintEnd` has no more bytes than it needs. */
// @ts-ignore: decorator
@inline
export function isShortest(at: usize, value: u64): bool {
  return value < 0x80 ? varintEnd == at + 1 : ((varintEnd - at) as u32) == varintSize(value);
}

/**
 * Copies the types of the block that was read last, column by column.
 * @param to receives up to 15 bytes more
 * @returns false if one has more than a byte
 */
export function readTypes(typeAts: usize, size: u32, to: usize): bool {
  for (let c: u32 = 0; c < blockColumns; c++) {
    const column = to + c * size;
    for (let i: u32 = 0; i < size; i++) store<u8>(column + i, load<u8>((load<u32>(typeAts + 4 * i) as usize) + c));
    scan(column, size);
    if (largest >= 0x80) return false;
    store<u8>(uniform + c, isUniform);
    store<u8>(largestTypes + c, largest);
  }
  return true;
}

/**
 * Shortens the block that was read last, of which one has.
 * @returns how many records are before the first one that has a longer type
 */
export function shortRecords(typeAts: usize, size: u32): u32 {
  for (let i: u32 = 0; i < size; i++) {
    const at: usize = load<u32>(typeAts + 4 * i);
    if (areShort(at, blockColumns)) continue;
    if (i > 0) blockEnd = load<u32>(ends + 4 * (i - 1));
    return i;
  }
  return size;
}

/** Whether no byte has its highest bit set. */
// @ts-ignore: decorator
@inline
function areShort(at: usize, bytes: u32): bool {
  let found = v128.splat<u8>(0);
  for (let k: u32 = 0; k < bytes; k += 16) {
    const left = bytes - k;
    found = v128.or(found, v128.and(v128.load(at + k), v128.load(masksEnd - (left < 16 ? left : 16))));
  }
  return v128.bitmask<u8>(found) == 0;
}

/** @returns the length of the rowids of the block that was read last, as they are written to `at` */
export function writeRowids(at: usize, size: u32, rowidBefore: i64): u32 {
  let to = at;
  let last = rowidBefore;
  for (let i: u32 = 0; i < size; i++) {
    const rowid = load<i64>(rowids + 8 * i);
    to = writeVarint(to, zigzag(rowid - last));
    last = rowid;
  }
  return (to - at) as u32;
}

// @ts-ignore: decorator
@inline
export const lastRowid = (size: u32): i64 => load<i64>(rowids + 8 * (size - 1));

/**
 * Adds the lengths of the types and values of the block that was read last to the table of columns. Reads up to 8 KiB
 * beyond a record whose values are too long.
 * @param typesOfAll column by column
 * @returns whether the values of each record end where it ends
 */
export function measureBlock(typesOfAll: usize, size: u32): bool {
  for (let c: u32 = 0; c < blockColumns; c++) {
    const column = columnTable + c * columnBytes;
    const ofColumn = typesOfAll + c * size;
    store<u32>(column, load<u32>(column, types) + size, types);
    if (load<u32>(column, hasDifferences) != 0) measureIntegers(column, ofColumn, size);
    const isEqual = load<u8>(uniform + c) != 0;
    const bytes = isEqual ? passEqual(shortSize(load<u8>(ofColumn)), size) : passValues(ofColumn, size);
    store<u32>(column, load<u32>(column, values) + bytes, values);
  }
  for (let i: u32 = 0; i < size; i++) {
    if (load<u32>(valueAts + 4 * i) != load<u32>(ends + 4 * i)) return false;
  }
  return true;
}

function measureIntegers(column: usize, typesAt: usize, size: u32): void {
  let last = load<i64>(column, before);
  let bytes: u32 = 0;
  let differences: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const type: u32 = load<u8>(typesAt + i);
    if (!isInteger(type)) continue;
    const value = readInteger(load<u32>(valueAts + 4 * i), shortSize(type));
    bytes += shortSize(type);
    differences += varintSizeOf(zigzag(value - last));
    last = value;
  }
  store<i64>(column, last, before);
  store<u32>(column, load<u32>(column, integerBytes) + bytes, integerBytes);
  store<u32>(column, load<u32>(column, differenceBytes) + differences, differenceBytes);
}

/** Passes values of one length. @returns their length */
function passEqual(bytes: u32, size: u32): u32 {
  if (bytes == 0) return 0;
  const added = v128.splat<u32>(bytes);
  for (let i: u32 = 0; i < size; i += 4) {
    v128.store(valueAts + 4 * i, v128.add<u32>(v128.load(valueAts + 4 * i), added));
  }
  return bytes * size;
}

/** Passes values of these types. @returns their length */
function passValues(typesAt: usize, size: u32): u32 {
  const fixed = i8x16(0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0);
  const twelve = v128.splat<u8>(12);
  let sums = v128.splat<u32>(0);
  for (let i: u32 = 0; i < size; i += 16) {
    const type = v128.load(typesAt + i);
    // Types from 12 on are of text and blobs; the others have no length of this kind.
    const ofText = v128.shr<u8>(v128.sub_sat<u8>(type, twelve), 1);
    const left = size - i;
    const mask = v128.load(masksEnd - (left < 16 ? left : 16));
    const bytes = v128.and(v128.or(ofText, v128.swizzle(fixed, type)), mask);
    const low = v128.extend_low<u8>(bytes);
    const high = v128.extend_high<u8>(bytes);
    sums = v128.add<u32>(sums, v128.extadd_pairwise<u16>(v128.add<u16>(low, high)));
    const at = valueAts + 4 * i;
    v128.store(at, v128.add<u32>(v128.load(at), v128.extend_low<u16>(low)));
    v128.store(at, v128.add<u32>(v128.load(at, 16), v128.extend_high<u16>(low)), 16);
    v128.store(at, v128.add<u32>(v128.load(at, 32), v128.extend_low<u16>(high)), 32);
    v128.store(at, v128.add<u32>(v128.load(at, 48), v128.extend_high<u16>(high)), 48);
  }
  const pairs = v128.add<u32>(sums, v128.shuffle<u64>(sums, sums, 1, 0));
  return v128.extract_lane<u32>(pairs, 0) + v128.extract_lane<u32>(pairs, 1);
}

/** As `varintSize`, without branches: the lengths of differences are hard to predict. */
// @ts-ignore: decorator
@inline
export function varintSizeOf(value: u64): u32 {
  const bits = 64 - (clz<u64>(value | 1) as u32);
  const size = (9 * bits + 64) >> 6;
  return size > 9 ? 9 : size;
}

/**
 * Writes the types and values of a block whose lengths were measured.
 * @param typesOfAll column by column
 */
export function writeBlock(typeAts: usize, typesOfAll: usize, size: u32, count: u32): void {
  const header = v128.splat<u32>(count);
  for (let i: u32 = 0; i < size; i += 4) {
    v128.store(valueAts + 4 * i, v128.add<u32>(v128.load(typeAts + 4 * i), header));
  }
  for (let c: u32 = 0; c < count; c++) {
    const column = columnTable + c * columnBytes;
    const from = typesOfAll + c * size;
    const typeTo: usize = load<u32>(column, types);
    copyTypes(typeTo, from, size);
    store<u32>(column, (typeTo + size) as u32, types);
    scan(from, size);
    if (isUniform) writeEqual(column, largest, size);
    else if (load<u32>(column, hasDifferences) != 0) writeMixed(column, from, size);
    else writeValues(column, from, size);
  }
}

/** Up to 15 bytes beyond them are written: into the gap, or where more types will be. */
// @ts-ignore: decorator
@inline
function copyTypes(to: usize, from: usize, size: u32): void {
  for (let i: u32 = 0; i < size; i += 16) v128.store(to + i, v128.load(from + i));
}

/** Values of one type. */
function writeEqual(column: usize, type: u32, size: u32): void {
  const bytes = shortSize(type);
  if (bytes == 0) return;
  if (isInteger(type) && load<u32>(column, hasDifferences) != 0) {
    writeDifferences(column, bytes, size);
    return;
  }
  const to: usize = load<u32>(column, values);
  store<u32>(column, (to + bytes * size) as u32, values);
  if (bytes <= 16) copyShort(to, bytes, size);
  else copyLonger(to, bytes, size);
}

function copyShort(at: usize, bytes: u32, size: u32): void {
  let to = at;
  for (let i: u32 = 0; i < size; i++, to += bytes) {
    const from: usize = load<u32>(valueAts + 4 * i);
    store<u32>(valueAts + 4 * i, (from + bytes) as u32);
    v128.store(to, v128.load(from));
  }
}

function copyLonger(at: usize, bytes: u32, size: u32): void {
  let to = at;
  for (let i: u32 = 0; i < size; i++, to += bytes) {
    const from: usize = load<u32>(valueAts + 4 * i);
    store<u32>(valueAts + 4 * i, (from + bytes) as u32);
    copyValue(to, from, bytes);
  }
}

function writeDifferences(column: usize, bytes: u32, size: u32): void {
  let last = load<i64>(column, before);
  let to: usize = load<u32>(column, values);
  for (let i: u32 = 0; i < size; i++) {
    const from: usize = load<u32>(valueAts + 4 * i);
    store<u32>(valueAts + 4 * i, (from + bytes) as u32);
    const value = readInteger(from, bytes);
    to = writeVarint(to, zigzag(value - last));
    last = value;
  }
  store<i64>(column, last, before);
  store<u32>(column, to as u32, values);
}

/** Integers that are differences, and other values. */
function writeMixed(column: usize, typeAt: usize, size: u32): void {
  let last = load<i64>(column, before);
  let to: usize = load<u32>(column, values);
  for (let i: u32 = 0; i < size; i++) {
    const type: u32 = load<u8>(typeAt + i);
    const bytes = shortSize(type);
    const from: usize = load<u32>(valueAts + 4 * i);
    store<u32>(valueAts + 4 * i, (from + bytes) as u32);
    if (isInteger(type)) {
      const value = readInteger(from, bytes);
      to = writeVarint(to, zigzag(value - last));
      last = value;
    } else {
      copyValue(to, from, bytes);
      to += bytes;
    }
  }
  store<i64>(column, last, before);
  store<u32>(column, to as u32, values);
}

/** Values of different types, of which none is a difference. */
function writeValues(column: usize, typeAt: usize, size: u32): void {
  let to: usize = load<u32>(column, values);
  const most: u32 = largest < 12 ? 8 : shortSize(largest);
  const left = load<u32>(column, valuesEnd) - (to as u32);
  if (most <= 16) {
    for (let i: u32 = 0; i < size; i++) {
      const from: usize = load<u32>(valueAts + 4 * i);
      const bytes = shortSize(load<u8>(typeAt + i));
      store<u32>(valueAts + 4 * i, (from + bytes) as u32);
      v128.store(to, v128.load(from));
      to += bytes;
    }
  } else if (left < 64 * size + 64) {
    for (let i: u32 = 0; i < size; i++) {
      const from: usize = load<u32>(valueAts + 4 * i);
      const bytes = shortSize(load<u8>(typeAt + i));
      store<u32>(valueAts + 4 * i, (from + bytes) as u32);
      copyValue(to, from, bytes);
      to += bytes;
    }
  } else if (most <= 32) {
    // No branch depends on a length, which a processor could not predict. The next value is written over what follows.
    for (let i: u32 = 0; i < size; i++) {
      const from: usize = load<u32>(valueAts + 4 * i);
      const bytes = shortSize(load<u8>(typeAt + i));
      store<u32>(valueAts + 4 * i, (from + bytes) as u32);
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      to += bytes;
    }
  } else {
    for (let i: u32 = 0; i < size; i++) {
      const from: usize = load<u32>(valueAts + 4 * i);
      const bytes = shortSize(load<u8>(typeAt + i));
      store<u32>(valueAts + 4 * i, (from + bytes) as u32);
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      v128.store(to, v128.load(from, 32), 32);
      v128.store(to, v128.load(from, 48), 48);
      to += bytes;
    }
  }
  store<u32>(column, to as u32, values);
}
