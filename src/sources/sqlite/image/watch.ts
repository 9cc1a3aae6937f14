import {fstatSync, readSync} from 'node:fs';
import {systemClock} from '../../../lib/clock.ts';
import {fileHeader, hasWrittenHeader, type LogFacts, logFacts} from './log.ts';
import type {Log} from './moment.ts';

/**
 * Notices that a program without SQLite's locks writes into a database while a transaction reads it: another file is
 * copied over it, or a tool restores it in place.
 *
 * - Without a write-ahead log that is needed, nothing may write into the file. Its header, its size and the time of its
 *   last change stay the same.
 * - With one, checkpoints do write into it. They say so in the index of the log (`-shm`,
 *   https://www.sqlite.org/walformat.html, 2.2): before the first write it has the number of frames that will be in the
 *   file, and after the last one the number of those that are. While these numbers stay, and are equal, nothing may
 *   write into the file. A checkpoint can hide a write only if both happen between two looks.
 *
 * The content of the log is fixed by the checksum in its last frame, which covers all frames before it.
 */
export type Watch = {
  /** @returns in words, what another program did; undefined if nothing was seen */
  whyChanged: (signal?: AbortSignal) => Promise<string | undefined>;
  stop: () => void;
};

export type Watched = {
  /** Descriptors. `index`: of `-shm`; SQLite's lock on it must outlast the watch. */
  file: number;
  pageBytes: number;
  log?: Log | undefined;
  index?: number | undefined;
};

/** A look is two system calls. */
const lookEveryMs = 100;

/**
 * A checkpoint that repeats the number of one that was interrupted looks like no checkpoint until it ends. Its writes
 * are waited for while it goes on, and this long after the last one: then it may be syncing the file.
 */
const silentMs = 60_000;

const wroteIntoIt = 'a program that ignores its locks wrote into it, or another file was copied over it';
const restartedLog = 'a program that ignores its locks restarted its write-ahead log';
const wroteIntoLog = 'a program that ignores its locks wrote into its write-ahead log';

export async function watch({file, pageBytes, log, index}: Watched): Promise<Watch> {
  const begin = await contentOf({file, pageBytes, log});
  const looks = new Looks({file, index: log === undefined ? undefined : index});
  const stop = systemClock.every(lookEveryMs, () => looks.look());
  return {
    async whyChanged(signal) {
      looks.look();
      while (looks.state === 'unexplained') {
        await systemClock.sleep(lookEveryMs, signal);
        looks.look();
      }
      const now = await contentOf({file, pageBytes, log});
      if (begin.log !== undefined && now.log !== undefined) {
        if (!now.log.header.equals(begin.log.header)) return restartedLog;
        if (!now.log.lastFrame.equals(begin.log.lastFrame)) return wroteIntoLog;
      }
      if (looks.state === 'written') return wroteIntoIt;
      const isKnown =
        now.header.equals(begin.header) || (log !== undefined && (await hasWrittenHeader(log, now.header, pageBytes)));
      return isKnown ? undefined : wroteIntoIt;
    },
    stop,
  };
}

type Content = {header: Buffer; log?: LogFacts};

async function contentOf({file, pageBytes, log}: Omit<Watched, 'index'>): Promise<Content> {
  const header = await fileHeader(file);
  return log === undefined ? {header} : {header, log: await logFacts(log, pageBytes)};
}

/** What one look finds. `checkpoint`: the two numbers as they are in the index; empty without a log. */
type Seen = {written: string; checkpoint: Buffer};

class Looks {
  readonly #watched: Pick<Watched, 'file' | 'index'>;
  /** The last one in which every write until then was a checkpoint's. */
  #explained: Seen;
  /** The write that no checkpoint explains so far, and when it was first seen. */
  #open: {written: string; sinceMs: number} | undefined;
  #isWritten = false;

  constructor(watched: Pick<Watched, 'file' | 'index'>) {
    this.#watched = watched;
    this.#explained = this.#see();
  }

  get state(): 'same' | 'unexplained' | 'written' {
    if (this.#isWritten) return 'written';
    return this.#open === undefined ? 'same' : 'unexplained';
  }

  look(): void {
    if (this.#isWritten) return;
    const seen = this.#see();
    if (!seen.checkpoint.equals(this.#explained.checkpoint)) {
      this.#explained = seen;
      this.#open = undefined;
    } else if (seen.written !== this.#explained.written) this.#doubt(seen);
  }

  #doubt({written, checkpoint}: Seen): void {
    if (isAtRest(checkpoint)) {
      this.#isWritten = true;
      return;
    }
    const nowMs = systemClock.monotonicMs();
    if (this.#open?.written !== written) this.#open = {written, sinceMs: nowMs};
    else if (nowMs - this.#open.sinceMs >= silentMs) this.#isWritten = true;
  }

  /** The same numbers before and after the time is taken: no checkpoint began or ended in between. */
  #see(): Seen {
    const {file, index} = this.#watched;
    for (;;) {
      const before = numbersIn(index);
      const {mtimeNs, size} = fstatSync(file, {bigint: true});
      const checkpoint = numbersIn(index);
      if (checkpoint.equals(before)) return {written: `${mtimeNs} ${size}`, checkpoint};
    }
  }
}

/** Where the index has its numbers: of frames in the file, and of those that a checkpoint has begun to put there. */
const inFileAt = 96;
const begunAt = 128;

function numbersIn(index: number | undefined): Buffer {
  if (index === undefined) return Buffer.alloc(0);
  const bytes = Buffer.alloc(begunAt + 4);
  readSync(index, bytes, 0, bytes.length, 0);
  return Buffer.concat([bytes.subarray(inFileAt, inFileAt + 4), bytes.subarray(begunAt)]);
}

/** Both are the same, or there are none: nothing may write into the file. */
const isAtRest = (checkpoint: Buffer) => checkpoint.subarray(0, 4).equals(checkpoint.subarray(4));
