import {isMarkedAsUntransferable} from 'node:worker_threads';

/**
 * Frees the memory of bytes that are no longer used. Left to the garbage collector it accumulates to about 60
 * MiB on each thread.
 */
export function free({buffer}: Uint8Array): void {
  // Small results share a buffer that Node marks as untransferable. Of several views of a buffer the first call
  // frees it.
  if (buffer instanceof ArrayBuffer && !buffer.detached && !isMarkedAsUntransferable(buffer)) buffer.transfer(0);
}

/** Memory of which a part is in use, and nobody uses the rest. */
const givenUp = new WeakSet<ArrayBufferLike>();

/** Whether nothing else is in the memory of these bytes, so that a thread can be given it instead of a copy. */
export const isAlone = ({buffer, length}: Uint8Array): boolean => buffer.byteLength === length || givenUp.has(buffer);

/** Says of memory in which nothing but `bytes` was that only a part of them is used from now on. */
export function giveUpRest(bytes: Uint8Array): void {
  if (isAlone(bytes)) givenUp.add(bytes.buffer);
}

/**
 * Copies bytes into or out of shared memory. `set` copies them word by word there, which takes more than twice as long;
 * filling with bytes that are as long as what is filled is one call of `memcpy`.
 * @param at byte of `to` at which they are put
 */
export function copyShared(to: Uint8Array, at: number, from: Uint8Array): void {
  if (from.length > 0) Buffer.prototype.fill.call(to, from, at, at + from.length);
}

/** The bytes in memory of their own. */
export function copiedBytes(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copyShared(copy, 0, bytes);
  return copy;
}
