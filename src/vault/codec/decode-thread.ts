import {parentPort} from 'node:worker_threads';
import {decodeChunkInto} from './codec.ts';
import type {Answer, DecodeJob} from './decode-threads.ts';
import {free} from './scratch.ts';

// What one of the threads of decode-threads.ts runs.
const main = parentPort!;
main.on('message', (job: DecodeJob) => {
  main.postMessage(decodeAll(job));
  free(job.stored);
  // Copies: each message brings the bases it needs.
  for (const {base} of job.chunks) if (base !== undefined) free(base);
});

function decodeAll({stored, chunks, into}: DecodeJob): Answer {
  let end = 0;
  for (const chunk of chunks) {
    const {at, storedBytes, plainBytes, base} = chunk;
    try {
      decodeChunkInto(new Uint8Array(into, end, plainBytes), chunk, stored.subarray(at, at + storedBytes), base);
    } catch {
      // Whoever asked decodes it once more, and words it.
      return false;
    }
    end += plainBytes;
  }
  return true;
}
