/** The records of one extraction, one after the other. */
import {Outcome} from './outcome';

/** An output ends before the record that would bring it beyond this, unless that record is its only one. */
const limitBytes: u64 = 4 * 1024 * 1024;
/** A single record, with its lengths, is no larger. */
const mostSingleBytes: u64 = 8 * 1024 * 1024;

export let outputAt: usize = 0;
export let outputEnd: usize = 0;
export let records: u32 = 0;

/** @param at begins memory of {@link mostSingleBytes} and 16 bytes */
export function beginOutput(at: usize): void {
  outputAt = at;
  outputEnd = at;
  records = 0;
}

/** Whether a record of this size, with its lengths, may follow. */
// @ts-ignore: decorator
@inline
export function roomFor(bytes: u64): Outcome {
  if (((outputEnd - outputAt) as u64) + bytes <= limitBytes) return Outcome.done;
  if (records > 0) return Outcome.full;
  return bytes > mostSingleBytes ? Outcome.tooLarge : Outcome.done;
}

/** A record was written at the end of the output. */
// @ts-ignore: decorator
@inline
export function endOutput(end: usize): void {
  outputEnd = end;
  records++;
}

/** May read and write up to 15 bytes further. */
// @ts-ignore: decorator
@inline
export function copyLoosely(to: usize, from: usize, bytes: u32): void {
  if (bytes > 256) {
    memory.copy(to, from, bytes);
    return;
  }
  for (let at: u32 = 0; at < bytes; at += 16) v128.store(to + at, v128.load(from + at));
}
