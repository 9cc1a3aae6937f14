import {renameSync, rmSync, statfsSync, statSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {writeFully} from '../../../lib/files.ts';
import type {DatabaseMoment, FileCheck, FileTarget, FrozenFile, TargetSurvey} from '../../file-source.ts';
import {withConnection} from '../engine/connection.ts';
import {translated} from '../engine/errors.ts';
import {isFileThere, requireFreeName} from '../restore/place-new-file.ts';
import {sqliteFilePath} from './files.ts';
import {checkDatabase, quickCheck} from './quick-check.ts';
import {isEmpty, placeNewDatabase, replaceEmptyDatabase} from './target-swap.ts';

const readBytes = 1024 * 1024;

/**
 * A restored SQLite database file: written next to its target, checked, and moved there in one step. Until then
 * the target is unchanged.
 */
export class SqliteFileTarget implements FileTarget {
  readonly #path: string;
  /** The complete file, of this or an earlier attempt. */
  readonly #staged: string;
  readonly #part: string;

  constructor(path: string) {
    this.#path = path;
    this.#staged = join(dirname(path), `${basename(path)}.bkp-restore`);
    this.#part = `${this.#staged}.part`;
  }

  async survey(facts: DatabaseMoment): Promise<TargetSurvey> {
    const free = freeBytes(dirname(this.#path));
    const obstacle = await this.prepare(facts).then(
      () => undefined,
      (error) => (error instanceof BkpError ? error : new Error(String(error))),
    );
    return {
      ...(free === undefined ? {} : {freeBytes: free}),
      ...(obstacle === undefined ? {} : {inTheWay: obstacle.message}),
      ...(obstacle instanceof BkpError && obstacle.next !== undefined ? {nextStep: obstacle.next} : {}),
    };
  }

  /** Changes nothing: what an earlier attempt left is checked when it is taken over. */
  async prepare({product}: DatabaseMoment): Promise<void> {
    if (product !== 'sqlite') {
      throw new BkpError(
        'UNSUPPORTED',
        `the backup holds a database of ${product}, and ${this.#path} is to be one of SQLite`,
        {
          next: 'restore it into a folder for its own server',
        },
      );
    }
    if (!statSync(dirname(this.#path), {throwIfNoEntry: false})?.isDirectory()) {
      throw new BkpError('SOURCE_UNAVAILABLE', `the folder of ${this.#path} does not exist`, {
        next: `mkdir -p '${dirname(this.#path)}'`,
      });
    }
    requireFree(this.#path);
  }

  async write(file: FrozenFile, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    requireOnlyFile(file);
    try {
      const part = await open(this.#part, 'w', 0o644);
      try {
        for await (const piece of bytes) await writeFully(part, piece);
        await part.sync();
      } finally {
        await part.close();
      }
      renameSync(this.#part, this.#staged);
    } catch (error) {
      throw translated(error, this.#path);
    }
  }

  async finished(file: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined> {
    requireOnlyFile(file);
    const found = statSync(this.#staged, {throwIfNoEntry: false});
    return found?.isFile() && found.size === file.sizeBytes ? readPieces(this.#staged) : undefined;
  }

  async publish({signal}: {signal: AbortSignal}): Promise<FileCheck> {
    const found = await this.#check(signal);
    if (isFileThere(this.#path)) replaceEmptyDatabase(this.#staged, this.#path);
    else placeNewDatabase(this.#staged, this.#path);
    rmSync(this.#part, {force: true});
    return found;
  }

  /**
   * For information only: the bytes are those of the backup, so the source had every fault that SQLite finds in
   * them.
   */
  async #check(signal: AbortSignal): Promise<FileCheck> {
    try {
      return await checkDatabase(this.#staged, {
        sizeBytes: statSync(this.#staged).size,
        signal,
        small: () => withConnection(this.#staged, {}, quickCheck),
      });
    } catch (error) {
      if (!(error instanceof BkpError) || error.code !== 'SOURCE_DAMAGED') throw error;
      return {
        damage: [error.cause instanceof Error ? error.cause.message : error.message],
        brokenRules: [],
        unchecked: [],
      };
    } finally {
      // No other process uses this file, so the files that reading in WAL mode created next to it hold nothing.
      for (const end of ['-wal', '-shm', '-journal']) rmSync(this.#staged + end, {force: true});
    }
  }

  /** The target is unchanged, so nothing needs to be examined, and the next restore begins as this one did. */
  async fail(): Promise<void> {
    for (const left of [this.#part, this.#staged]) rmSync(left, {force: true});
  }
}

/** @throws BkpError `TABLE_EXISTS` | `PRECONDITION` (a log or journal without its database, a link) */
function requireFree(path: string): void {
  if (!isFileThere(path)) {
    requireFreeName(path);
    return;
  }
  if (withConnection(path, {}, isEmpty)) return;
  throw new BkpError('TABLE_EXISTS', 'The local database is not empty.', {
    cause: `${path} holds a database; nothing was touched`,
    next: 'restore to another path, or move that database away',
    context: {path},
  });
}

function requireOnlyFile(file: FrozenFile): void {
  if (file.path === sqliteFilePath && file.zeroTailBytes === 0) return;
  throw new BkpError('OBJECT_DAMAGED', `a backup of SQLite holds ${sqliteFilePath}, and no ${file.path}`, {
    next: 'restore another backup, and report this',
  });
}

function freeBytes(folder: string): number | undefined {
  try {
    const {bavail, bsize} = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    for (;;) {
      const {bytesRead, buffer} = await file.read(Buffer.alloc(readBytes), 0, readBytes);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
