/** The values of a block of records that is being joined. */
import {swap64} from '../swap';
import {readMixedVarint, varintEnd} from '../varint';
import {largest, masksEnd, scan} from './blocks';
import {lengths, lengthsRow, noLengthOfAll, valueAts} from './join-types';
import {
  before,
  columnBytes,
  columnTable,
  differencesFlag,
  hasDifferences,
  lengthOfAll,
  mostLength,
  unzigzag,
  values,
  valuesEnd,
} from './streams';

/**
 * Writes the values of a column. There is room for them; nothing beside a value is changed, because its neighbours may
 * be there already.
 * @param size of the block
 * @returns false if one is not there
 */
export function writeValues(c: u32, size: u32): bool {
  const column = columnTable + c * columnBytes;
  const from: usize = load<u32>(column, values);
  const left = load<u32>(column, valuesEnd) - (from as u32);
  const all = load<u32>(column, lengthOfAll);
  if (all == noLengthOfAll) {
    const length = lengths + c * lengthsRow;
    return load<u32>(column, hasDifferences) != 0 ? writeMixed(column, length, size) : copyValues(column, length, size);
  }
  if (all >= differencesFlag) return sumIntegers(column, all ^ differencesFlag, size);
  if ((all as u64) * size > (left as u64)) return false;
  if (all <= 16) copyShort(from, all, size);
  else copyEqual(from, all, size);
  store<u32>(column, (from as u32) + all * size, values);
  return true;
}

/** Values of at most 16 bytes each. */
function copyShort(from: usize, bytes: u32, size: u32): void {
  if (bytes == 0) return;
  const mask = v128.load(masksEnd - bytes);
  for (let i: u32 = 0; i < size; i++, from += bytes) {
    const to: usize = load<u32>(valueAts + 4 * i);
    store<u32>(valueAts + 4 * i, (to + bytes) as u32);
    v128.store(to, v128.bitselect(v128.load(from), v128.load(to), mask));
  }
}

/** Values of more than 16 bytes each. */
function copyEqual(from: usize, bytes: u32, size: u32): void {
  for (let i: u32 = 0; i < size; i++, from += bytes) {
    const to: usize = load<u32>(valueAts + 4 * i);
    store<u32>(valueAts + 4 * i, (to + bytes) as u32);
    copyAny(to, from, bytes);
  }
}

/** @returns false if one is not there */
function copyValues(column: usize, length: usize, size: u32): bool {
  const end: usize = load<u32>(column, valuesEnd);
  let from: usize = load<u32>(column, values);
  if (load<u32>(column, mostLength) <= 16) {
    for (let i: u32 = 0; i < size; i++) {
      const bytes: usize = load<u32>(length + 4 * i);
      if (bytes > end - from) return false;
      const to: usize = load<u32>(valueAts + 4 * i);
      store<u32>(valueAts + 4 * i, (to + bytes) as u32);
      copy16(to, from, bytes);
      from += bytes;
    }
  } else {
    for (let i: u32 = 0; i < size; i++) {
      const bytes: usize = load<u32>(length + 4 * i);
      if (bytes > end - from) return false;
      const to: usize = load<u32>(valueAts + 4 * i);
      store<u32>(valueAts + 4 * i, (to + bytes) as u32);
      copyAny(to, from, bytes);
      from += bytes;
    }
  }
  store<u32>(column, from as u32, values);
  return true;
}

/** Integers of one length, all of them differences. @returns false if one is not there */
function sumIntegers(column: usize, bytes: u32, size: u32): bool {
  const end: usize = load<u32>(column, valuesEnd);
  const shift: u64 = 64 - 8 * bytes;
  const written: u64 = u64.MAX_VALUE >> shift;
  let from: usize = load<u32>(column, values);
  let value = load<i64>(column, before);
  if ((size as usize) > end - from) return false;
  scan(from, size);
  if (largest < 0x80) {
    for (let i: u32 = 0; i < size; i++) {
      value += unzigzag(load<u8>(from + i));
      const to: usize = load<u32>(valueAts + 4 * i);
      store<u32>(valueAts + 4 * i, (to + bytes) as u32);
      store<u64>(to, (load<u64>(to) & ~written) | swap64((value as u64) << shift));
    }
    from += size;
  } else {
    for (let i: u32 = 0; i < size; i++) {
      value += unzigzag(readMixedVarint(from));
      from = varintEnd;
      if (from > end) return false;
      const to: usize = load<u32>(valueAts + 4 * i);
      store<u32>(valueAts + 4 * i, (to + bytes) as u32);
      store<u64>(to, (load<u64>(to) & ~written) | swap64((value as u64) << shift));
    }
  }
  store<u32>(column, from as u32, values);
  store<i64>(column, value, before);
  return true;
}

/** Integers that are differences, and other values. @returns false if one is not there */
function writeMixed(column: usize, length: usize, size: u32): bool {
  const end: usize = load<u32>(column, valuesEnd);
  let from: usize = load<u32>(column, values);
  let value = load<i64>(column, before);
  for (let i: u32 = 0; i < size; i++) {
    const to: usize = load<u32>(valueAts + 4 * i);
    let bytes = load<u32>(length + 4 * i);
    if (bytes < differencesFlag) {
      if ((bytes as usize) > end - from) return false;
      copyAny(to, from, bytes);
      from += bytes;
    } else {
      bytes ^= differencesFlag;
      value += unzigzag(readMixedVarint(from));
      from = varintEnd;
      if (from > end) return false;
      const shift: u64 = 64 - 8 * bytes;
      store<u64>(to, (load<u64>(to) & ~(u64.MAX_VALUE >> shift)) | swap64((value as u64) << shift));
    }
    store<u32>(valueAts + 4 * i, (to + bytes) as u32);
  }
  store<u32>(column, from as u32, values);
  store<i64>(column, value, before);
  return true;
}

/** Copies up to 16 bytes. */
// @ts-ignore: decorator
@inline
function copy16(to: usize, from: usize, bytes: usize): void {
  v128.store(to, v128.bitselect(v128.load(from), v128.load(to), v128.load(masksEnd - bytes)));
}

/**
 * Up to 32 bytes without a branch, which a processor could not predict. No function is called: V8 would keep nothing in
 * registers.
 */
// @ts-ignore: decorator
@inline
function copyAny(to: usize, from: usize, bytes: usize): void {
  if (bytes > 32) {
    for (let k: usize = 16; k < bytes; k += 16) v128.store(to + k - 16, v128.load(from + k - 16));
    v128.store(to + bytes - 16, v128.load(from + bytes - 16));
    return;
  }
  // The last 16 bytes are copied too, which are the same ones if there are no more.
  const last: usize = bytes > 16 ? bytes - 16 : 0;
  const mask = v128.load(masksEnd - (bytes - last));
  const atEnd = v128.bitselect(v128.load(from + last), v128.load(to + last), mask);
  v128.store(to, v128.bitselect(v128.load(from), v128.load(to), mask));
  v128.store(to + last, atEnd);
}
