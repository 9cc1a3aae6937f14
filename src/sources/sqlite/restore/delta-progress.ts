import {statSync} from 'node:fs';
import {syncFileSync} from '../../../lib/files.ts';
import type {Connection} from '../engine/connection.ts';
import type {StagingFile} from './staging-file.ts';
import type {DeltaState} from './staging-record.ts';

/** In the file while it is not as a record says. */
const beyond = -1;

/**
 * Applies rows and keys so that another process can continue. They change pages all over the file, so they go to a WAL
 * first. A checkpoint moves them into the file, which is then complete up to a certain step:
 *
 * 1. The WAL is synced, and the record says which steps it has (`isMoving`): from now on both files count.
 * 2. SQLite moves the pages into the file, syncs it and empties the WAL.
 * 3. The record says so: from now on the file counts alone.
 *
 * SQLite also moves the pages when the connection is closed. The file's user_version shows that it is then beyond its
 * record.
 */
export class DeltaProgress {
  readonly #file: StagingFile;
  readonly #everyBytes: number;
  readonly #save: (state: DeltaState) => Promise<void>;
  readonly #steps: (readonly [number, number])[];
  #uncheckedBytes = 0;

  /** @param done what the file has already */
  constructor(
    file: StagingFile,
    options: {everyBytes: number; save: (state: DeltaState) => Promise<void>; done?: DeltaState['steps'] | undefined},
  ) {
    this.#file = file;
    this.#everyBytes = options.everyBytes;
    this.#save = options.save;
    this.#steps = [...(options.done ?? [])];
  }

  get steps(): DeltaState['steps'] {
    return this.#steps;
  }

  /** @param isNew whether the trees have just been laid out */
  async begin(isNew: boolean): Promise<void> {
    if (isNew) {
      this.#file.connection.exec('PRAGMA user_version = 0');
      syncFileSync(this.#file.path);
    }
    this.#file.beginLoggedDeltas();
    if (isNew) await this.#save({steps: [], isMoving: false});
  }

  /** @param apply applies a segment of this length @returns what it returns */
  async step(bytes: number, apply: () => number): Promise<number> {
    if (this.#uncheckedBytes === 0) this.#mark(beyond);
    const count = apply();
    this.#steps.push([bytes, count]);
    this.#uncheckedBytes += bytes;
    const wal = statSync(`${this.#file.path}-wal`, {throwIfNoEntry: false})?.size ?? 0;
    if (this.#uncheckedBytes >= this.#everyBytes || wal >= this.#everyBytes) await this.checkpoint();
    return count;
  }

  async checkpoint(): Promise<void> {
    if (this.#uncheckedBytes === 0) return;
    const {path, connection} = this.#file;
    this.#mark(this.#steps.length);
    syncFileSync(`${path}-wal`);
    const steps = [...this.#steps];
    await this.#save({steps, isMoving: true});
    moveIntoFile(connection);
    await this.#save({steps, isMoving: false});
    this.#uncheckedBytes = 0;
  }

  #mark(version: number): void {
    this.#file.connection.exec(`PRAGMA main.user_version = ${version}`);
  }
}

function moveIntoFile(connection: Connection): void {
  const {busy} = connection.get('PRAGMA main.wal_checkpoint(TRUNCATE)')!;
  if (busy !== 0n) throw new Error('nothing else has the staging file open');
}

/** Completes a checkpoint that a process that ended had begun. */
export function completeMove(connection: Connection): void {
  moveIntoFile(connection);
}

/** Whether the file is as the record says. */
export function isAsRecorded(connection: Connection, {steps}: DeltaState): boolean {
  return connection.number('PRAGMA main.user_version') === steps.length;
}
