import {constants} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {systemCode} from '../../../errors/index.ts';
import {inBlocks} from '../../../lib/blocks.ts';
import type {FrozenFile} from '../../file-source.ts';

/** Of Node, and not in its types. */
declare const WebAssembly: {Memory: new (options: {initial: number}) => {readonly buffer: ArrayBuffer}};

/** What one call writes: a call costs about as much as writing some hundred KiB. */
const slotBytes = 4 * 1024 * 1024;
/** As many files as a restore writes at once. */
const slotCount = 4;
/** Memory, file positions and lengths of writes past the page cache are multiples of this: no disk asks for more. */
const alignBytes = 4096;
/** Below it, the page cache gathers small files better than single writes to the disk do. */
const leastDirectBytes = 1024 * 1024;
/** A file system, or a disk with blocks of another size, that does not do it. */
const notDirect = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'];

type Writing = {
  sizeBytes: number;
  /** With the zeros. */
  endBytes: number;
  bytes: AsyncIterable<Uint8Array>;
  /** Absent: through the page cache. */
  slot: Buffer | undefined;
};

/**
 * Writes files of a restore, large ones past the page cache (O_DIRECT). What is restored is seldom read again at once, and all of
 * it must be on the disk at the end anyway: in the cache it takes memory that the system has to find and clear page by page, and
 * it pushes out what other programs have there.
 */
export class TargetFiles {
  #isDirect = constants.O_DIRECT !== undefined;
  #slots: Buffer[] | undefined;

  /** The bytes, and zeros after them; not synced. The file is made, or emptied first. */
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
      // A hole: it reads as zeros and takes no space. Or the end of the last block, which was filled up.
      if (writtenBytes !== endBytes) await file.truncate(endBytes);
    } finally {
      await file.close();
    }
    // Files of one root lie on one file system: the others need not try.
    if (isDirect && !file.isDirect) this.#isDirect = false;
  }
}

/** @returns where the file ends now: past the bytes, when the last block had to be filled up */
async function fill(file: OpenFile, bytes: AsyncIterable<Uint8Array>, slot: Buffer): Promise<number> {
  for await (const {length} of inBlocks(bytes, () => slot)) {
    const end = file.isDirect ? Math.ceil(length / alignBytes) * alignBytes : length;
    await file.append(slot.fill(0, length, end).subarray(0, end));
  }
  return file.position;
}

/** A file that is written from its beginning to its end. */
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
        await this.#goOnThroughCache();
      }
    }
  }

  async #goOnThroughCache(): Promise<void> {
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

/** A Buffer begins anywhere; the memory of WebAssembly begins where a page does. */
function alignedSlots(): Buffer[] {
  try {
    const {buffer} = new WebAssembly.Memory({initial: (slotCount * slotBytes) / (64 * 1024)});
    return Array.from({length: slotCount}, (_, n) => Buffer.from(buffer, n * slotBytes, slotBytes));
  } catch {
    // It reserves much address space, which a limit (ulimit -v) may refuse.
    return [];
  }
}
