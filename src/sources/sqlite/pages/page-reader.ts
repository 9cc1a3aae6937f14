import {readSync} from 'node:fs';
import {pageOffset} from '../image/log.ts';
import {PageFault} from './page-fault.ts';
import type {PageFiles} from './page-files.ts';

/** Reads single pages and runs of neighbouring ones, each in one call of the system. */
export class PageReader {
  readonly #files: PageFiles;
  readonly #frames: Uint32Array | undefined;

  constructor(files: PageFiles) {
    this.#files = files;
    this.#frames = files.frames && new Uint32Array(files.frames);
  }

  /**
   * @param at where in `into` the page is put
   * @throws PageFault when the file or the log is too short
   */
  read(page: number, into: Uint8Array, at = 0): void {
    const {file, wal, pageBytes} = this.#files;
    const frame = this.#frames?.[page] ?? 0;
    const read =
      frame === 0
        ? readFully(file, into, at, pageBytes, (page - 1) * pageBytes)
        : readFully(wal!, into, at, pageBytes, pageOffset(frame, pageBytes));
    if (read === pageBytes) return;
    throw new PageFault(page, `is missing: ${frame === 0 ? 'the file' : 'the write-ahead log'} is too short`);
  }

  /** {@link read} for `count` pages from `first` on, all of them in the file. */
  readAdjacent(first: number, count: number, into: Uint8Array, at: number): void {
    const {file, pageBytes} = this.#files;
    const read = readFully(file, into, at, count * pageBytes, (first - 1) * pageBytes);
    if (read === count * pageBytes) return;
    throw new PageFault(first + Math.floor(read / pageBytes), 'is missing: the file is too short');
  }

  /** Whether the page is in the file and not in the log. */
  isInFile(page: number): boolean {
    return this.#frames === undefined || this.#frames[page] === 0;
  }
}

/** @returns fewer than `length` bytes only at the end of the file */
function readFully(file: number, into: Uint8Array, at: number, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const read = readSync(file, into, at + done, length - done, position + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}
