// A thread of EncoderThreads: what arrives is encoded and answered, batch after batch.
import {parentPort, workerData} from 'node:worker_threads';
import {chunkEncodings} from '../format/entry.ts';
import {hashHex} from '../format/hash.ts';
import {ChunkEncoder} from './codec.ts';
import type {Batch, BatchResult} from './encoder-batch.ts';
import {free} from './scratch.ts';

const port = parentPort!;
const encoder = new ChunkEncoder((workerData as {level: number}).level);

port.on('message', ({memory, jobs}: Batch) => {
  const bytes = new Uint8Array(memory);
  const part = ({at, length}: {at: number; length: number}) => bytes.subarray(at, at + length);
  const results: BatchResult = [];
  for (const {id, plain, column, base, out} of jobs) {
    try {
      const {
        encoding,
        stored,
        base: used,
      } = encoder.encode({
        id,
        plain: part(plain),
        ...(column === undefined ? {} : {column}),
        ...(base === undefined ? {} : {base: {...base, stored: part(base.stored)}}),
      });
      // What is stored as it is lies there already.
      const place = encoding === chunkEncodings.plain ? plain : {at: out, length: stored.length};
      const check = hashHex(stored);
      results.push({encoding, stored: place, check, ...(used === undefined ? {} : {base: used})});
      if (place === plain) continue;
      bytes.set(stored, out);
      free(stored);
    } catch (error) {
      results.push({error: (error as Error).message});
    }
  }
  port.postMessage(results);
});
