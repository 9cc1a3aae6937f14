// A thread of DecodeThreads: decodes one job after the other.
import {free} from '../../lib/memory.ts';
import {answerJobs} from '../../lib/pool-thread.ts';
import {checkChunk, decodeChunkInto} from './decode.ts';
import type {DecodeJob} from './decode-threads.ts';

answerJobs((job: DecodeJob) => {
  const isWhatWasWritten = decodeAll(job);
  free(job.stored);
  // Each message brings the bases it needs.
  for (const {base} of job.chunks) if (base !== undefined) free(base.stored);
  return isWhatWasWritten;
});

/** @returns false when a chunk is not what was written; the caller decodes it again, for the error's text */
function decodeAll({stored, chunks, into}: DecodeJob): boolean {
  let end = 0;
  for (const chunk of chunks) {
    const {at, storedBytes, plainBytes, base} = chunk;
    const bytes = stored.subarray(at, at + storedBytes);
    try {
      if (into === undefined) checkChunk(chunk, bytes, base);
      else decodeChunkInto(new Uint8Array(into, end, plainBytes), chunk, bytes, base);
    } catch {
      return false;
    }
    end += plainBytes;
  }
  return true;
}
