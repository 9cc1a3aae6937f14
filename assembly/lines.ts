/**
 * The module of src/sources/postgres/segments: a hash of rows as COPY writes them, one line each, that does not depend
 * on their order (docs/format.md, "Content"). A line is hashed as a table of SQLite with a single text would be.
 */
import {finished, firstBytes, highSeed, lowSeed, mixHigh, mixLow, tagText} from './mix';

/** Sums of the two halves of the lines' hashes. */
export let low: u64 = 0;
export let high: u64 = 0;

const lineEnd: u8 = 0x0a;
const eachByte: u64 = 0x0101010101010101;

/** Adds complete lines. Memory continues at least 16 bytes beyond them. @returns how many they are */
export function addLines(start: usize, end: usize): u32 {
  let lines: u32 = 0;
  for (let at = start; at < end; lines++) {
    const last = lineEndAfter(at);
    addLine(at, last);
    at = last + 1;
  }
  return lines;
}

export function clear(): void {
  low = 0;
  high = 0;
}

/** Eight bytes at a time: https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord */
function lineEndAfter(start: usize): usize {
  let at = start;
  let found = lineEndsIn(load<u64>(at));
  while (found == 0) {
    at += 8;
    found = lineEndsIn(load<u64>(at));
  }
  return at + ((ctz(found) >> 3) as usize);
}

/** The lowest bit that is set is in the first line end; those above it can be wrong. */
// @ts-ignore: decorator
@inline
function lineEndsIn(word: u64): u64 {
  const other = word ^ (eachByte * (lineEnd as u64));
  return (other - eachByte) & ~other & (eachByte << 7);
}

function addLine(start: usize, end: usize): void {
  let one: u64 = highSeed;
  let two: u64 = mixLow(lowSeed, ((end - start) as u64) + tagText);
  let at = start;
  for (; at + 16 <= end; at += 16) {
    one = mixLow(one, load<u64>(at));
    two = mixHigh(two, load<u64>(at, 8));
  }
  const rest = (end - at) as u64;
  if (rest != 0) {
    one = mixLow(one, load<u64>(at) & firstBytes(rest));
    two = mixHigh(two, rest > 8 ? load<u64>(at, 8) & firstBytes(rest - 8) : 0);
  }
  low += finished(one ^ rotl<u64>(two, 32));
  high += finished(two + one);
}
