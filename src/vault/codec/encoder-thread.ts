// A thread of EncoderThreads: encodes one batch after the other.
import {copyShared, free} from '../../lib/memory.ts';
import {answerJobs, threadData} from '../../lib/pool-thread.ts';
import {chunkEncodings} from '../format/entry.ts';
import {hashHex} from '../format/hash.ts';
import {ChunkEncoder} from './encode.ts';
import type {Batch, BatchResult, Part} from './encoder-batch.ts';

const encoder = new ChunkEncoder(threadData<{level: number}>().level);

answerJobs(({memory, jobs}: Batch) => {
  const bytes = new Uint8Array(memory);
  const bytesOf = ({memory: other, at, length}: Part) => new Uint8Array(other ?? memory, at, length);
  const results: BatchResult = [];
  for (const {id, plain, column, records, base, out} of jobs) {
    try {
      const openBase = base && {...base, stored: bytesOf(base.stored)};
      const chunk = {id, plain: bytesOf(plain), column, records, base: openBase};
      const {encoding, stored, base: used} = encoder.encode(chunk);
      // What is stored uncompressed is in the memory already.
      const part = encoding === chunkEncodings.plain ? plain : {at: out, length: stored.length};
      results.push({encoding, stored: part, check: hashHex(stored), base: used});
      if (part === plain) continue;
      copyShared(bytes, out, stored);
      free(stored);
    } catch (error) {
      results.push({error: (error as Error).message});
    }
  }
  return results;
});
