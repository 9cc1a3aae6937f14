/** Where the streams of arranged records are: docs/format.md, "Records by column". */

/** Longer headers are not arranged. Each column has a serial type of at least one byte, after one for the length. */
export const mostHeaderBytes: u32 = 127;
export const mostColumns: u32 = mostHeaderBytes - 1;

/** Zeros after each stream: a value is copied 16 bytes at a time, whatever its length. */
export const gap: u32 = 16;

/** Records, columns and the length of the rowids, in front of the lengths of the columns' streams. */
export const fixedBytes: u32 = 12;

/**
 * Four numbers for each column: first the lengths of its two streams, then positions within them. Joining needs their
 * ends too: types, end of types, values, end of values.
 */
export const columnBytes: u32 = 16;
export const columnTable: usize = memory.data(126 * 16, 16);
export const typesEnd: usize = 4;
export const values: usize = 8;
export const valuesEnd: usize = 12;

/** Maps numbers of small absolute value to small numbers, whatever their sign. */
// @ts-ignore: decorator
@inline
export function zigzag(value: i64): u64 {
  return ((value << 1) ^ (value >> 63)) as u64;
}

// @ts-ignore: decorator
@inline
export function unzigzag(value: u64): i64 {
  return ((value >> 1) as i64) ^ -((value & 1) as i64);
}

/** Copies `bytes`, and up to 15 bytes that follow them. */
// @ts-ignore: decorator
@inline
export function copyValue(to: usize, from: usize, bytes: u32): void {
  v128.store(to, v128.load(from));
  if (bytes > 16) copyLong(to, from, bytes);
}

function copyLong(to: usize, from: usize, bytes: u32): void {
  if (bytes > 256) {
    memory.copy(to, from, bytes);
    return;
  }
  for (let at: u32 = 16; at < bytes; at += 16) v128.store(to + at, v128.load(from + at));
}
