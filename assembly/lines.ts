/**
 * The module of src/sources/postgres/rows. It takes rows out of the messages in which a server sends them, and hashes
 * them as COPY writes them, one line each, in a way that does not depend on their order (docs/format.md, "Content"). A
 * line is hashed as a table of SQLite with a single text would be.
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

/** What {@link unwrap} found: where the rows end, and the first message that it has left. */
export let rowsEnd: usize = 0;
export let rest: usize = 0;
/** That message is the end of the rows; otherwise it is incomplete, or there is none. */
export let isOver: bool = false;

/** Types of messages. Source: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const copyData: u8 = 0x64;
const copyOutResponse: u8 = 0x48;
/** A server may send them at any time. */
const noticeResponse: u8 = 0x4e;
const parameterStatus: u8 = 0x53;
const notificationResponse: u8 = 0x41;
const headerBytes: usize = 5;

/** Moves the rows of complete messages together, to the front of the messages. @returns how many they are */
export function unwrap(start: usize, end: usize): u32 {
  let rows: u32 = 0;
  let at = start;
  let to = start;
  isOver = false;
  while (at < end) {
    const type = load<u8>(at);
    if (type != copyData && !isBetweenRows(type)) {
      isOver = true;
      break;
    }
    if (end - at < headerBytes) break;
    const bytes = (bswap<u32>(load<u32>(at + 1)) as usize) - 4;
    const from = at + headerBytes;
    if (bytes > end - from) break;
    if (type == copyData) {
      moveDown(to, from, bytes);
      to += bytes;
      rows++;
    }
    at = from + bytes;
  }
  rowsEnd = to;
  rest = at;
  return rows;
}

// @ts-ignore: decorator
@inline
function isBetweenRows(type: u8): bool {
  return (
    type == copyOutResponse || type == noticeResponse || type == parameterStatus || type == notificationResponse
  );
}

/** `to` is in front of `from`, and they may overlap: what is read has not been overwritten yet. */
function moveDown(to: usize, from: usize, bytes: usize): void {
  if (bytes > 256) {
    memory.copy(to, from, bytes);
    return;
  }
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  if (i + 8 <= bytes) {
    store<u64>(to + i, load<u64>(from + i));
    i += 8;
  }
  for (; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
}
