import {BkpError} from '../../../errors/index.ts';
import {readFully} from '../../../lib/files.ts';

/**
 * The write-ahead log as a file, https://www.sqlite.org/fileformat2.html#the_write_ahead_log: a header of 32
 * bytes, then frames of 24 bytes and one page each. Numbers are big-endian; each checksum covers the header and
 * all frames up to its own.
 */
const headerBytes = 32;
const frameHeaderBytes = 24;
const magic = 0x377f0682;
/** Bytes per read while all frames are read. */
const readBytes = 1024 * 1024;

const fileHeaderBytes = 100;

/** Distinguishes one log from the next in the same file: the salts change at each restart. Empty for an empty file. */
export async function logHeader(log: number): Promise<Buffer> {
  const header = Buffer.alloc(headerBytes);
  return header.subarray(0, await readFully(log, header, 0));
}

/** The database's own header: it has the number of transactions, of which those in WAL mode are not all counted. */
export async function fileHeader(file: number): Promise<Buffer> {
  const header = Buffer.alloc(fileHeaderBytes);
  return header.subarray(0, await readFully(file, header, 0));
}

/** What stays the same in a log up to one of its frames; the last frame's checksum covers those before it. */
export type LogFacts = {header: Buffer; lastFrame: Buffer};

/** @param log of at least one frame */
export async function logFacts({file, frames}: {file: number; frames: number}, pageBytes: number): Promise<LogFacts> {
  const lastFrame = Buffer.alloc(frameHeaderBytes);
  const read = await readFully(file, lastFrame, pageOffset(frames, pageBytes) - frameHeaderBytes);
  return {header: await logHeader(file), lastFrame: lastFrame.subarray(0, read)};
}

/** @returns whether a checkpoint of the first `frames` frames can have written this header into the file */
export async function hasWrittenHeader(
  {file, frames}: {file: number; frames: number},
  header: Buffer,
  pageBytes: number,
): Promise<boolean> {
  const begin = Buffer.alloc(frameHeaderBytes + fileHeaderBytes);
  // From the end: what a checkpoint writes is the newest version of a page.
  for (let frame = frames; frame > 0; frame--) {
    await readFully(file, begin, pageOffset(frame, pageBytes) - frameHeaderBytes);
    if (begin.readUInt32BE(0) === 1 && begin.subarray(frameHeaderBytes).equals(header)) return true;
  }
  return false;
}

/** Where a frame's page begins in the file. @param frame from 1 */
export const pageOffset = (frame: number, pageBytes: number) =>
  headerBytes + (frame - 1) * (frameHeaderBytes + pageBytes) + frameHeaderBytes;

/**
 * The newest frame of each page among the first `frames` ones, every checksum verified.
 * @param log its descriptor
 * @returns Uint32 by page number up to `pages`: the page's frame, from 1; 0 when it has none
 * @throws BkpError `SOURCE_DAMAGED`
 */
export async function readFrames(
  log: number,
  path: string,
  {
    frames,
    pageBytes,
    pages,
    signal,
  }: {frames: number; pageBytes: number; pages: number; signal?: AbortSignal | undefined},
): Promise<SharedArrayBuffer> {
  const header = await logHeader(log);
  if (header.length < headerBytes) throw damaged(path, 'it has no header');
  const sums = new Checksum(header.readUInt32BE(0) === magic + 1);
  sums.add(header, 0, 24);
  const isLog = (header.readUInt32BE(0) & ~1) === magic && header.readUInt32BE(8) === pageBytes;
  if (!isLog || !sums.equal(header, 24)) throw damaged(path, 'its header is not that of this database');
  const newest = new Uint32Array(new SharedArrayBuffer((pages + 1) * 4));
  const frameBytes = frameHeaderBytes + pageBytes;
  const atOnce = Math.max(1, Math.floor(readBytes / frameBytes));
  for (let first = 1; first <= frames; first += atOnce) {
    signal?.throwIfAborted();
    const count = Math.min(atOnce, frames - first + 1);
    const bytes = Buffer.alloc(count * frameBytes);
    const read = await readFully(log, bytes, headerBytes + (first - 1) * frameBytes);
    for (let n = 0; n < count; n++) {
      const at = n * frameBytes;
      if (at + frameBytes > read) throw damaged(path, `it ends before frame ${first + n}`);
      sums.add(bytes, at, 8);
      sums.add(bytes, at + frameHeaderBytes, pageBytes);
      const salted = bytes.compare(header, 16, 24, at + 8, at + 16) === 0;
      if (!salted || !sums.equal(bytes, at + 16)) throw damaged(path, `frame ${first + n} has a wrong checksum`);
      // A transaction that made the database shorter leaves frames of pages that it no longer has.
      const page = bytes.readUInt32BE(at);
      if (page <= pages) newest[page] = first + n;
    }
  }
  return newest.buffer as SharedArrayBuffer;
}

/** The log's own checksum: two sums over words, in the byte order that its magic names. */
class Checksum {
  readonly #bigEndian: boolean;
  #first = 0;
  #second = 0;

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian;
  }

  add(bytes: Buffer, start: number, length: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, length);
    const little = !this.#bigEndian;
    let [first, second] = [this.#first, this.#second];
    for (let at = 0; at < length; at += 8) {
      first = (first + view.getUint32(at, little) + second) | 0;
      second = (second + view.getUint32(at + 4, little) + first) | 0;
    }
    [this.#first, this.#second] = [first, second];
  }

  equal(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.#first >>> 0 && bytes.readUInt32BE(at + 4) === this.#second >>> 0;
  }
}

function damaged(path: string, why: string): BkpError {
  return new BkpError('SOURCE_DAMAGED', `the write-ahead log ${path}-wal is damaged: ${why}`, {
    next: `check the database with: sqlite3 '${path}' 'PRAGMA integrity_check'`,
    context: {path},
  });
}
