import {expect, test} from 'vitest';
import {chunkEncodings} from '../../../src/vault/format/entry.ts';
import {directoryPackBytes, packTargetBytes} from '../../../src/vault/format/limits.ts';
import {PackBuffer} from '../../../src/vault/format/pack.ts';
import type {ChunkId} from '../../../src/vault/types.ts';

const mebi = 1024 * 1024;
const chunk = new Uint8Array(mebi + 1).fill(7);
const salt = '0'.repeat(32);

function append(pack: PackBuffer, stored: Uint8Array, number: number): void {
  const id = number.toString(16).padStart(64, '0') as ChunkId;
  pack.append({id, plainBytes: stored.length, encoding: chunkEncodings.plain}, stored);
}

test.each([packTargetBytes, directoryPackBytes])(
  'a pack is full at %d bytes, and again after it was cleared',
  async (targetBytes) => {
    const pack = new PackBuffer(targetBytes);
    for (let time = 0; time < 2; time++) {
      let count = 0;
      while (!pack.isFull) append(pack, chunk, count++);
      expect(count).toBe(Math.ceil(targetBytes / chunk.length));
      const {bytes, entries} = await pack.finish(salt);
      expect(bytes.length).toBeGreaterThan(count * chunk.length);
      for (const {offset, storedBytes} of entries)
        expect(Buffer.compare(bytes.subarray(offset, offset + storedBytes), chunk)).toBe(0);
      pack.clear();
    }
  },
);

test.each([packTargetBytes, directoryPackBytes])(
  'lengths of packs say little: full at %d bytes',
  async (targetBytes) => {
    const lengthOf = async (chunks: number, last: number) => {
      const pack = new PackBuffer(targetBytes);
      for (let number = 0; number < chunks; number++) append(pack, chunk, number);
      append(pack, chunk.subarray(0, last), chunks);
      return (await pack.finish(salt, {isFilled: true})).bytes.length;
    };
    const most = Math.floor(targetBytes / chunk.length);
    expect((await lengthOf(most, mebi)) % 4096).toBe(0);
    // Not full, but its table would make it longer than a full one.
    expect(await lengthOf(most, targetBytes - most * chunk.length - 1)).toBeGreaterThan(targetBytes - 1);
    expect(await lengthOf(3, 5)).toBe(await lengthOf(3, 6));
  },
);
