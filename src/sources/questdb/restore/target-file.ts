import {constants} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {systemCode} from '../../../errors/index.ts';
import {inBlocks} from '../../../lib/blocks.ts';
import type {FrozenFile} from '../../file-source.ts';

/** Node has it, but its types do not. */
declare const WebAssembly: {Memory: new (options: {initial: number}) => {readonly buffer: ArrayBuffer}};

/** Bytes that one call writes: the overhead of a call equals writing a few hundred KiB. */
const slotBytes = 4 * 1024 * 1024;
/** A restore writes this many files concurrently. */
const slotCount = 4;
/** Memory, positions and lengths of direct writes are multiples of this; no disk requires more. */
const alignBytes = 4096;
/** Smaller files go through the page cache, which combines them into fewer writes. */
const leastDirectBytes = 1024 * 1024;
/** Errors of file systems, and of disks with other block sizes, that do not support direct writes. */
const notDirect = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'];

type Writing = {
  sizeBytes: number;
  /** Including the zeros. */
  endBytes: number;
  bytes: AsyncIterable<Uint8Array>;
  /** Absent: through the page cache. */
  slot: Buffer | undefined;
};

/**
 * Writes the files of a restore, large ones past the page cache (O_DIRECT). Restored files are rarely read again
 * soon, and all of them must be on the disk in the end: in the cache they would use memory that the system must
 * allocate page by page, and evict the pages of other programs.
 */
export class TargetFiles {
  #isDirect = constants.O_DIRECT !== undefined;
  #slots: Buffer[] | undefined;

  /** Writes the bytes, and zeros after them; does not sync. The file is created, or truncated first. */
  async write(path: string, {sizeBytes, zeroTailBytes}: FrozenFile, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    this.#slots ??= alignedSlots();
    const slot = this.#isDirect && sizeBytes >= leastDirectBytes ? this.#slots.pop() : undefined;
    try {
      await this.#write(path, {sizeBytes, endBytes: sizeBytes + zeroTailBytes, bytes, slot});
    } finally {
      if (slot !== undefined) this.#slots.push(slot);
    }
  }

  async #write(path: string, {sizeBytes, endBytes, bytes, slot}: Writing): Promise<void> {
    const isDirect = slot !== undefined;
    const file = await OpenFile.create(path, isDirect);
    try {
      const memory = slot ?? Buffer.allocUnsafeSlow(Math.min(slotBytes, Math.max(alignBytes, sizeBytes)));
      const writtenBytes = await fill(file, bytes, memory);
      // Extends the file by a hole, which reads as zeros and uses no space; or removes the padding of the last block.
      if (writtenBytes !== endBytes) await file.truncate(endBytes);
    } finally {
      await file.close();
    }
    // All files of a root are on one file system, so the others need not try.
    if (isDirect && !file.isDirect) this.#isDirect = false;
  }
}

/** @returns the length of the file: past the bytes when the last block was padded */
async function fill(file: OpenFile, bytes: AsyncIterable<Uint8Array>, slot: Buffer): Promise<number> {
  for await (const {length} of inBlocks(bytes, () => slot)) {
    const end = file.isDirect ? Math.ceil(length / alignBytes) * alignBytes : length;
    await file.append(slot.fill(0, length, end).subarray(0, end));
  }
  return file.position;
}

/** A file that is written sequentially. */
class OpenFile {
  readonly #path: string;
  #handle: FileHandle;
  isDirect: boolean;
  position = 0;

  private constructor(path: string, handle: FileHandle, isDirect: boolean) {
    this.#path = path;
    this.#handle = handle;
    this.isDirect = isDirect;
  }

  static async create(path: string, isDirect: boolean): Promise<OpenFile> {
    const {O_WRONLY, O_CREAT, O_TRUNC, O_DIRECT} = constants;
    const flags = O_WRONLY | O_CREAT | O_TRUNC;
    if (isDirect) {
      try {
        return new OpenFile(path, await open(path, flags | O_DIRECT, 0o644), true);
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    }
    return new OpenFile(path, await open(path, flags, 0o644), false);
  }

  async append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      try {
        const {bytesWritten} = await this.#handle.write(bytes, at, bytes.length - at, this.position);
        at += bytesWritten;
        this.position += bytesWritten;
      } catch (error) {
        if (!this.isDirect || !isRefusal(error)) throw error;
        await this.#continueThroughCache();
      }
    }
  }

  async #continueThroughCache(): Promise<void> {
    this.isDirect = false;
    await this.#handle.close();
    this.#handle = await open(this.#path, 'r+');
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#handle.truncate(sizeBytes);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

const isRefusal = (error: unknown) => notDirect.includes(systemCode(error) ?? '');

/** WebAssembly memory starts at a page boundary; a Buffer starts anywhere. */
function alignedSlots(): Buffer[] {
  try {
    const {buffer} = new WebAssembly.Memory({initial: (slotCount * slotBytes) / (64 * 1024)});
    return Array.from({length: slotCount}, (_, n) => Buffer.from(buffer, n * slotBytes, slotBytes));
  } catch {
    // WebAssembly reserves a large address range, which a limit (ulimit -v) may not allow.
    return [];
  }
}
