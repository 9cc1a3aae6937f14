import {BkpError} from '../../../errors/index.ts';
import {readFully} from '../../../lib/files.ts';
import {pageOffset} from './log.ts';

/** Open files of a database; the descriptors belong to the image. */
export type ImageFiles = {
  file: number;
  /** The write-ahead log; absent when the file alone has the content. */
  wal?: number;
  /** Uint32 by page number: the page's frame in the log, from 1; 0: the page is in the file. */
  frames?: SharedArrayBuffer;
  pageBytes: number;
  pages: number;
};

const readAtOnceBytes = 1024 * 1024;

/** All pages in blocks of `blockBytes`, the last one shorter. */
export async function* readBlocks(
  {file, wal, frames: shared, pageBytes, pages}: ImageFiles,
  blockBytes: number,
): AsyncGenerator<Buffer> {
  const frames = shared && new Uint32Array(shared);
  const sizeBytes = pages * pageBytes;
  const readBytes = Math.max(blockBytes, readAtOnceBytes - (readAtOnceBytes % blockBytes));
  for (let start = 0; start < sizeBytes; start += readBytes) {
    const bytes = Buffer.alloc(Math.min(readBytes, sizeBytes - start));
    // Pages beyond the end of the file are in the log, or are free pages that were never written: zeros.
    await readFully(file, bytes, start);
    for (let at = 0; frames !== undefined && at < bytes.length; at += pageBytes) {
      const frame = frames[(start + at) / pageBytes + 1]!;
      if (frame === 0) continue;
      const page = bytes.subarray(at, at + pageBytes);
      if ((await readFully(wal!, page, pageOffset(frame, pageBytes))) === page.length) continue;
      throw new BkpError('SOURCE_DAMAGED', 'the write-ahead log became shorter while it was read', {
        next: 'take the backup again; no program may touch the files beside a database that is in use',
      });
    }
    for (let at = 0; at < bytes.length; at += blockBytes) yield bytes.subarray(at, at + blockBytes);
  }
}
