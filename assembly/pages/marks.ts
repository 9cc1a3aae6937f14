/**
 * Where chunks of a key tree may begin, by a hash of the record, so that equal records cut equally wherever they are.
 * The hash is part of no format; but another one would move every cut of every source once.
 */

export let marksEnd: usize = 0;
/** Of the record that was marked last. */
export let lastQualifies: bool = false;
export let lastAt: u32 = 0;

let mask: u32 = 0;
let hashesHead: bool = false;

/** Bytes that are hashed of a record; the key of a table without rowid is usually within the first ones. */
const headBytes: u32 = 64;

/** @param at receives two u32 for every second record at most: its offset, and how many records are before it */
export function beginMarks(at: usize, qualifyingMask: u32, hashHead: bool): void {
  marksEnd = at;
  mask = qualifyingMask;
  hashesHead = hashHead;
  lastQualifies = false;
}

/**
 * @param offset of the record in the output
 * @param ordinal how many records are before it there
 */
// @ts-ignore: decorator
@inline
export function markRecord(offset: u32, ordinal: u32, payload: usize, bytes: u32): void {
  const qualifies = ((hashesHead ? hashOfHead(payload, bytes) : hashOfTail(payload, bytes)) & mask) == 0;
  if (qualifies && !lastQualifies) {
    store<u32>(marksEnd, offset);
    store<u32>(marksEnd, ordinal, 4);
    marksEnd += 8;
  }
  lastQualifies = qualifies;
  lastAt = offset;
}

// @ts-ignore: decorator
@inline
function hashOfTail(payload: usize, bytes: u32): u32 {
  return bytes >= 4 ? mix32(load<u32>(payload + bytes - 4)) : mix32(load<u32>(payload) & ((1 << (8 * bytes)) - 1));
}

/** The finalizer of MurmurHash3. */
// @ts-ignore: decorator
@inline
function mix32(value: u32): u32 {
  let hash = value;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  return hash ^ (hash >> 16);
}

function hashOfHead(payload: usize, bytes: u32): u32 {
  const hashed = bytes < headBytes ? bytes : headBytes;
  let hash: u64 = hashed;
  let at: u32 = 0;
  for (; at + 8 <= hashed; at += 8) hash = mix64(hash ^ load<u64>(payload + at));
  if (at < hashed) hash = mix64(hash ^ (load<u64>(payload + at) & (((1 as u64) << (8 * (hashed - at))) - 1)));
  return (hash >> 32) as u32;
}

/** The mixing step of MurmurHash64A. */
// @ts-ignore: decorator
@inline
function mix64(value: u64): u64 {
  const hash = value * 0xc6a4a7935bd1e995;
  return (hash ^ (hash >> 47)) * 0xc6a4a7935bd1e995;
}
