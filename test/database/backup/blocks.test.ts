import {expect, test} from 'vitest';
import {Blocks} from '../../../src/database/backup/blocks.ts';

test('released memory is reused, by one block at a time', () => {
  const blocks = new Blocks();
  const one = blocks.take(1000);
  blocks.release(one);
  const two = blocks.take(900);
  expect(two.buffer).toBe(one.buffer);
  expect(two.length).toBe(900);
  blocks.release(two);
  blocks.release(two);
  expect(blocks.take(1000).buffer).not.toBe(blocks.take(1000).buffer);
});

test('memory from elsewhere is never reused', () => {
  const blocks = new Blocks();
  // Small buffers share memory with other buffers.
  const foreign = Buffer.from('foreign');
  blocks.release(foreign);
  expect(blocks.take(foreign.buffer.byteLength).buffer).not.toBe(foreign.buffer);
});
