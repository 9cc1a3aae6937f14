import {randomBytes} from 'node:crypto';
import {lstat, open, truncate} from 'node:fs/promises';
import {join} from 'node:path';
import {isDiskFull, systemCode} from '../../errors/index.ts';
import {writeFully} from '../../lib/files.ts';
import {type Body, spareName} from './put.ts';

/** Enough for the leases, notes and indexes of an operation that frees space. */
const spareBytes = 1024 * 1024;
/** What is larger belongs to a backup, which needs more room than this anyway. */
const smallBytes = 256 * 1024;

/**
 * Room that a full disk still has: a file of no content, which is emptied when a small object finds no other room, and
 * filled again once something was removed. Without it a vault on a full disk could not even be made smaller, because a
 * lease has to be written first. A vault without large objects has none.
 */
export class SpareRoom {
  readonly #path: string;
  #isKept = false;

  constructor(root: string) {
    this.#path = join(root, spareName);
  }

  /** To be called when an object has been written. */
  async wrote(body: Body): Promise<void> {
    if (this.#isKept || isSmall(body)) return;
    this.#isKept = true;
    if ((await this.#size()) !== spareBytes) await this.#fill();
  }

  /** To be called when objects have been removed. */
  async removed(): Promise<void> {
    const size = await this.#size();
    if (size !== undefined && size !== spareBytes) await this.#fill();
  }

  /** @returns whether a write that failed is worth another attempt, because this room is free now */
  async release(error: unknown, body: Body): Promise<boolean> {
    if (!isDiskFull(error) || !isSmall(body) || !(await this.#size())) return false;
    return this.#empty();
  }

  /** A disk that is full, or that refuses it, is no error. */
  async #fill(): Promise<void> {
    try {
      // Another process that fills it at this moment writes the same number of bytes.
      const handle = await open(this.#path, 'w', 0o600);
      try {
        // Random, because a file system may store zeros in no room at all.
        await writeFully(handle, randomBytes(spareBytes));
        await handle.datasync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      await this.#empty();
    }
  }

  #empty(): Promise<boolean> {
    return truncate(this.#path, 0).then(
      () => true,
      () => false,
    );
  }

  /** @returns undefined if there is no such file */
  #size(): Promise<number | undefined> {
    return lstat(this.#path).then(
      (facts) => (facts.isFile() ? facts.size : undefined),
      () => undefined,
    );
  }
}

const isSmall = (body: Body) => body instanceof Uint8Array && body.length <= smallBytes;
