/**
 * SQLite's variable-length integers (https://www.sqlite.org/fileformat2.html#varint): one to nine bytes, seven bits
 * each, the most significant ones first; the ninth byte holds eight bits.
 *
 * Nothing here checks a limit: a caller reads and writes memory of its own, which continues at least nine bytes
 * further.
 */
import {swap64} from './swap';

/** The end of the integer that {@link readVarint} read last. */
export let varintEnd: usize = 0;

/** Leaves its end in {@link varintEnd}. */
// @ts-ignore: decorator
@inline
export function readVarint(at: usize): u64 {
  const first: u32 = load<u8>(at);
  if (first < 0x80) {
    varintEnd = at + 1;
    return first;
  }
  const second: u32 = load<u8>(at + 1);
  if (second < 0x80) {
    varintEnd = at + 2;
    return ((first & 0x7f) << 7) | second;
  }
  return readLongVarint(at);
}

function readLongVarint(at: usize): u64 {
  let value: u64 = 0;
  for (let i = 0; i < 8; i++) {
    const byte: u64 = load<u8>(at + i);
    value = (value << 7) | (byte & 0x7f);
    if (byte < 0x80) {
      varintEnd = at + i + 1;
      return value;
    }
  }
  varintEnd = at + 9;
  return (value << 8) | (load<u8>(at + 8) as u64);
}

/** As {@link readVarint}, without a call and nearly without branches, for numbers whose lengths are hard to predict. */
// @ts-ignore: decorator
@inline
export function readMixedVarint(at: usize): u64 {
  const bytes = load<u64>(at);
  const ends = ~bytes & 0x8080808080808080;
  if (ends == 0) {
    varintEnd = at + 9;
    return (joinSevens(swap64(bytes)) << 8) | (load<u8>(at + 8) as u64);
  }
  const last = ctz<u64>(ends) as u32;
  varintEnd = at + (last >> 3) + 1;
  return joinSevens(swap64(bytes) >> (63 - last));
}

/** Removes the highest bit of each byte. */
// @ts-ignore: decorator
@inline
function joinSevens(bytes: u64): u64 {
  let bits = (bytes & 0x007f007f007f007f) | ((bytes & 0x7f007f007f007f00) >> 1);
  bits = (bits & 0x00003fff00003fff) | ((bits & 0x3fff00003fff0000) >> 2);
  return (bits & 0x000000000fffffff) | ((bits & 0x0fffffff00000000) >> 4);
}

/** Bytes of the shortest form, which is the one that SQLite writes. */
// @ts-ignore: decorator
@inline
export function varintSize(value: u64): u32 {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return longVarintSize(value);
}

function longVarintSize(value: u64): u32 {
  if (value >> 56 != 0) return 9;
  let size: u32 = 3;
  for (let rest = value >> 21; rest != 0; rest >>= 7) size++;
  return size;
}

/** Writes the shortest form. @returns its end */
// @ts-ignore: decorator
@inline
export function writeVarint(at: usize, value: u64): usize {
  if (value < 0x80) {
    store<u8>(at, value);
    return at + 1;
  }
  if (value < 0x4000) {
    store<u8>(at, (value >> 7) | 0x80);
    store<u8>(at + 1, value & 0x7f);
    return at + 2;
  }
  return writeLongVarint(at, value);
}

function writeLongVarint(at: usize, value: u64): usize {
  const size = longVarintSize(value);
  let rest = value;
  let last: u32 = size - 1;
  if (size == 9) {
    store<u8>(at + 8, rest);
    rest >>= 8;
    last = 7;
    store<u8>(at + 7, (rest & 0x7f) | 0x80);
  } else {
    store<u8>(at + last, rest & 0x7f);
  }
  for (let i: u32 = last; i > 0; i--) {
    rest >>= 7;
    store<u8>(at + i - 1, (rest & 0x7f) | 0x80);
  }
  return at + size;
}
