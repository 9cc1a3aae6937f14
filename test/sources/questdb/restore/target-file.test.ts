import {constants, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {TargetFiles} from '../../../../src/sources/questdb/restore/target-file.ts';
import {mayMount, smallDisk} from '../../../helpers/small-disk.ts';

/**
 * Simulates a file system without direct writes: `open` fails, or the n-th write and all after it; undefined: nothing
 * fails.
 */
const refused = vi.hoisted(() => ({from: undefined as 'open' | number | undefined, code: 'EINVAL', times: 0}));
afterEach(() => {
  refused.from = undefined;
});
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const refusal = () => {
    refused.times++;
    return Object.assign(new Error('refused'), {code: refused.code});
  };
  const open: typeof real.open = async (path, flags, mode) => {
    const isDirect = typeof flags === 'number' && (flags & constants.O_DIRECT) !== 0;
    if (isDirect && refused.from === 'open') throw refusal();
    const handle = await real.open(path, flags, mode);
    const {from} = refused;
    if (!isDirect || typeof from !== 'number') return handle;
    const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<never>;
    let writes = 0;
    return Object.assign(handle, {
      write: async (...args: unknown[]) => {
        if (++writes >= from) throw refusal();
        return write(...args);
      },
    });
  };
  return {...real, open};
});

/** Call it before a disk is mounted in the folder: vitest undoes the last step first. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-target-file-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  return folder;
}

const mebi = 1024 * 1024;
/** Lengths around a block of the disk, the smallest direct write, and one call. */
const large = [9 * mebi + 4097, 4 * mebi + 1, 4 * mebi, 4 * mebi - 1];
const middling = [mebi + 1, mebi, mebi - 1];
const small = [4096, 4095, 1, 0];
const sizes = [...large, ...middling, ...small];

const bytesOf = (sizeBytes: number) => Buffer.alloc(sizeBytes, 'what a column holds, and no power of two ');

/** Blocks in reused memory, as a restore passes them. */
async function* blocks(bytes: Buffer, blockBytes: number): AsyncGenerator<Uint8Array> {
  const borrowed = Buffer.alloc(blockBytes);
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const length = bytes.copy(borrowed, 0, at, at + blockBytes);
    yield borrowed.subarray(0, length);
    borrowed.fill(0xff);
  }
}

async function writeSizes(into: string): Promise<void> {
  const files = new TargetFiles();
  for (const zeroTailBytes of [0, 1, 70_000]) {
    const write = async (sizeBytes: number) => {
      const path = join(into, `${sizeBytes}`);
      // The previous content must not remain.
      writeFileSync(path, Buffer.alloc(100, 0xee));
      const file = {path: 'a', sizeBytes, zeroTailBytes, blockBytes: 131072};
      await files.write(path, file, blocks(bytesOf(sizeBytes), sizeBytes % 2 === 0 ? 131072 : 100_003));
      const expected = Buffer.concat([bytesOf(sizeBytes), Buffer.alloc(zeroTailBytes)]);
      expect(readFileSync(path).equals(expected), `${sizeBytes} bytes and ${zeroTailBytes} zeros`).toBe(true);
    };
    await Promise.all(large.map(write));
    await Promise.all(middling.map(write));
    // More files concurrently than there is aligned memory for.
    await Promise.all(sizes.map(write));
    for (const sizeBytes of sizes) rmSync(join(into, `${sizeBytes}`));
  }
}

describe('TargetFiles writes every byte, and zeros after them, for all lengths', () => {
  test('on a disk', () => writeSizes(temporaryFolder()));

  test.each([
    ['open', 'EINVAL'],
    ['open', 'ENOTSUP'],
    [1, 'EINVAL'],
    [2, 'EINVAL'],
    [3, 'EOPNOTSUPP'],
  ] as const)('on a disk without direct writes: %s, %s', async (from, code) => {
    Object.assign(refused, {from, code, times: 0});
    await writeSizes(temporaryFolder());
    // Only files that were started concurrently; later ones do not try.
    expect(refused.times).toBeGreaterThan(0);
    expect(refused.times).toBeLessThanOrEqual(4);
  });

  test.skipIf(!mayMount)('on a disk in memory', async () => {
    await writeSizes(smallDisk(join(temporaryFolder(), 'disk'), 64 * mebi).folder);
  });
});

test.skipIf(!mayMount)('after ENOSPC, the next file gets its memory', async () => {
  const {folder: disk} = smallDisk(join(temporaryFolder(), 'disk'), 6 * mebi);
  const files = new TargetFiles();
  const file = {path: 'a', sizeBytes: 9 * mebi, zeroTailBytes: 0, blockBytes: 131072};
  for (let n = 0; n < 6; n++) {
    const path = join(disk, 'full');
    await expect(files.write(path, file, blocks(bytesOf(9 * mebi), 131072))).rejects.toMatchObject({code: 'ENOSPC'});
    rmSync(path);
  }
  await writeSizes(temporaryFolder());
});
