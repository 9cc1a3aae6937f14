import {expect, test} from 'vitest';
import {compress, compressNow, decompressNow} from '../../../src/vault/format/zstd.ts';
import {noise} from '../helpers.ts';

const inputs = [
  Buffer.alloc(1),
  Buffer.alloc(20_000, 'row '),
  noise(20_000, 1),
  Buffer.alloc(1_000_000, 'a longer row '),
];

test('a frame decompresses to the bytes that were compressed, whether they compress or not', async () => {
  for (const plain of inputs) {
    for (const frame of [compressNow(plain, {level: 1}), await compress(plain, {level: 1})]) {
      expect(decompressNow(frame, plain.length).equals(plain)).toBe(true);
    }
  }
});

test('a frame does not keep the memory that was allocated for a larger one', async () => {
  const plain = noise(2_000_000, 1).fill('row ', 100_000);
  for (const frame of [compressNow(plain, {level: 1}), await compress(plain, {level: 1})]) {
    expect(frame.length).toBeGreaterThan(100_000);
    expect(frame.buffer.byteLength).toBe(frame.length);
  }
});
