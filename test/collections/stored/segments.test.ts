import {expect, test} from 'vitest';
import {readSegments} from '../../../src/collections/stored/segments.ts';
import type {ChunkId, VaultReader} from '../../../src/vault/index.ts';

const chunks = ['aaaa', 'bbbb', 'cccc', 'dddd', 'ee'];
const recipe = {sizeBytes: 18, depth: 0, chunks: chunks as ChunkId[]};
/** Three segments: the second one has three chunks. */
const data = {stream: 0, segments: 3, wide: {'1': 3}};

/** Reads each chunk into the same memory, if the caller borrows it. */
const vault = {
  async *read(_: unknown, {borrowed = false} = {}) {
    const memory = Buffer.alloc(4);
    for (const chunk of chunks) {
      const own = borrowed ? memory : Buffer.alloc(4);
      own.write(chunk);
      yield own.subarray(0, chunk.length);
      if (borrowed) memory.fill('x');
    }
  },
} as unknown as VaultReader;

test.each([false, true])('a segment of several chunks is whole, borrowed: %s', async (borrowed) => {
  const segments: string[] = [];
  const {signal} = new AbortController();
  for await (const segment of readSegments(vault, [recipe], data, {signal, borrowed})) {
    segments.push(Buffer.from(segment).toString());
  }
  expect(segments).toEqual(['aaaa', 'bbbbccccdddd', 'ee']);
});
