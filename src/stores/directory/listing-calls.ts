import {type Dirent, lstatSync, readdirSync, type Stats} from 'node:fs';
import {lstat, readdir} from 'node:fs/promises';
import {systemCode} from '../../errors/index.ts';
import {yieldToEventLoop} from '../../lib/async.ts';
import {isMediumError} from './unreadable.ts';

/** Concurrent `lstat` calls of a listing: enough to hide the latency of a network file system. */
const statsAtOnce = 32;
/** A call that takes longer waits for a disk or a network. */
const slowMs = 0.5;
/** A single one may have been interrupted by another process. */
const slowInRow = 2;
/** After slow calls, so many are made on threads before the next one is tried here. */
const callsAfterSlow = 1024;
/** Calls made here before timers and renewals of leases get their turn. */
const callsInRow = 256;

/** `ENOTDIR`: a leading part of the key is an object, so the key itself does not exist. */
export const isAbsence = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '');

/**
 * The system calls of a listing. On a local disk one takes three to ten microseconds, and a promise for each takes
 * several times as long. So calls are made directly while they are quick, and on threads, several at a time, while they
 * are not.
 */
export class ListingCalls {
  #onThreads = 0;
  #inRow = 0;
  #slow = 0;

  /**
   * @param options.isFolder false if a file there may be right; it has no entries
   * @returns nothing for an absent folder
   */
  async entries(folder: string, {isFolder}: {isFolder: boolean}): Promise<Dirent[]> {
    try {
      if (await this.#isQuick()) return this.#timed(() => readdirSync(folder, {withFileTypes: true}));
      return await readdir(folder, {withFileTypes: true});
    } catch (error) {
      if (isFolder ? systemCode(error) === 'ENOENT' : isAbsence(error)) return [];
      throw error;
    }
  }

  /** Facts of each path in turn; undefined for an absent one, an error for one that the disk does not return. */
  async *facts(paths: readonly string[]): AsyncGenerator<Stats | Error | undefined> {
    for (let at = 0; at < paths.length; ) {
      if (await this.#isQuick()) {
        yield this.#timed(() => statSync(paths[at]!));
        at += 1;
        continue;
      }
      const some = paths.slice(at, at + statsAtOnce);
      this.#onThreads -= some.length - 1;
      yield* await Promise.all(some.map(statOrAbsent));
      at += some.length;
    }
  }

  async #isQuick(): Promise<boolean> {
    if (this.#onThreads > 0) {
      this.#onThreads -= 1;
      return false;
    }
    this.#inRow += 1;
    if (this.#inRow % callsInRow === 0) await yieldToEventLoop();
    return true;
  }

  #timed<T>(call: () => T): T {
    const startedMs = performance.now();
    const result = call();
    this.#slow = performance.now() - startedMs > slowMs ? this.#slow + 1 : 0;
    if (this.#slow >= slowInRow) this.#onThreads = callsAfterSlow;
    return result;
  }
}

function statSync(path: string): Stats | Error | undefined {
  try {
    return lstatSync(path, {throwIfNoEntry: false});
  } catch (error) {
    return unlessOther(error);
  }
}

export async function statOrAbsent(path: string): Promise<Stats | Error | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    return unlessOther(error);
  }
}

function unlessOther(error: unknown): Error | undefined {
  if (isAbsence(error)) return undefined;
  if (isMediumError(error)) return error as Error;
  throw error;
}
