/** The streams of arranged records: docs/format.md, "Records by column". */
import {swap64} from '../swap';

/** Longer headers are not arranged. Each column has a serial type of at least one byte, after one for the length. */
export const mostHeaderBytes: u32 = 127;
export const mostColumns: u32 = mostHeaderBytes - 1;

/** Zeros after each stream: a value is copied 16 bytes at a time, whatever its length. */
export const gap: u32 = 16;

/** Records, columns and the length of the rowids, in front of the lengths of the columns' streams. */
export const fixedBytes: u32 = 12;

/** Of the length of a column's values: its integers are differences. */
export const differencesFlag: u32 = 0x80000000;

/** A table with a row for each column. */
export const columnBytes: u32 = 40;
export const columnTable: usize = memory.data(126 * 40, 16);
/** Where each number is in a row. `types` and `values` are lengths while streams are measured, then positions. */
export const types: usize = 0;
export const typesEnd: usize = 4;
export const values: usize = 8;
export const valuesEnd: usize = 12;
/** The integer before, as a number of eight bytes. */
export const before: usize = 16;
/** Whether integers are differences. */
export const hasDifferences: usize = 24;
/** While records are joined: the length of all values of a block, else one that none exceeds; where its types begin. */
export const lengthOfAll: usize = 28;
export const mostLength: usize = 32;
export const typesAt: usize = 36;
/** While they are split: bytes of all integers, as they are and as differences. */
export const integerBytes: usize = 32;
export const differenceBytes: usize = 36;

/** Bytes of a value by its serial type, for the types of one byte. */
const sizes: usize = memory.data<u8>([
  0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5,
  6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17,
  18, 18, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 25, 25, 26, 26, 27, 27, 28, 28, 29, 29,
  30, 30, 31, 31, 32, 32, 33, 33, 34, 34, 35, 35, 36, 36, 37, 37, 38, 38, 39, 39, 40, 40, 41, 41,
  42, 42, 43, 43, 44, 44, 45, 45, 46, 46, 47, 47, 48, 48, 49, 49, 50, 50, 51, 51, 52, 52, 53, 53,
  54, 54, 55, 55, 56, 56, 57, 57,
]);

// @ts-ignore: decorator
@inline
export function shortSize(type: u32): u32 {
  return load<u8>(sizes + type);
}

/** Of a serial type: an integer with bytes of its own, which 0 and 1 have not. */
// @ts-ignore: decorator
@inline
export function isInteger(type: u32): bool {
  return type - 1 < 6;
}

/** An integer of up to eight bytes, the most significant one first. Reads eight bytes. */
// @ts-ignore: decorator
@inline
export function readInteger(at: usize, bytes: u32): i64 {
  return (swap64(load<u64>(at)) as i64) >> (64 - 8 * bytes);
}

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

/** Copies `bytes`, and up to 16 bytes that follow them. */
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
