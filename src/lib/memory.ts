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
