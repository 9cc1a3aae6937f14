import {closeSync, existsSync, fstatSync, openSync, readSync, renameSync, rmSync, statSync} from 'node:fs';
import {syncFileSync} from '../../../lib/files.ts';
import {withConnection} from '../engine/connection.ts';
import {headerBytes} from '../layout/database-header.ts';
import type {StagingFile} from './staging-file.ts';
import type {IndexState} from './staging-record.ts';

/** What building indexes has told so far; a process that continues tells it again. */
export type BuildReport = {notices: readonly string[]; lost: readonly string[]};

/**
 * Builds indexes so that another process can continue. They share pages with rows that a record names, so each group of
 * them is one transaction with a rollback journal, which SQLite syncs:
 *
 * 1. The transaction begins, and the journal exists. Then the record says which state of the file it goes back to.
 * 2. Indexes are built. The transaction ends: the file is synced, and the journal is emptied.
 * 3. The record says so, with the next group's beginning or with the end.
 *
 * A file that is in neither state was written by something else, or its process ended between 2 and 3: nothing of it is
 * used then. Nor is it if it may be in the midst of a transaction and lacks its journal.
 */
export class IndexProgress {
  readonly #file: StagingFile;
  readonly #everyBytes: number;
  readonly #save: (state: IndexState) => Promise<void>;
  readonly #report: () => BuildReport;
  readonly #built: string[];
  #isLanded: boolean;
  #uncheckedBytes = 0;

  /** @param left what an ended process left in the file */
  constructor(
    file: StagingFile,
    options: {
      everyBytes: number;
      save: (state: IndexState) => Promise<void>;
      report: () => BuildReport;
      left?: IndexState | undefined;
    },
  ) {
    const {everyBytes, save, report, left} = options;
    this.#file = file;
    this.#everyBytes = everyBytes;
    this.#save = save;
    this.#report = report;
    this.#built = [...(left?.built ?? [])];
    this.#isLanded = left !== undefined;
  }

  /** @param land moves all rows into their tables; not called if they are there */
  async begin(land: () => void): Promise<void> {
    await this.#open();
    if (this.#isLanded) return;
    land();
    this.#isLanded = true;
    this.#commit();
    await this.#open();
  }

  has(index: string): boolean {
    return this.#built.includes(index);
  }

  /** @param bytes of the rows that are read for it */
  async build(index: string, bytes: number, body: () => void): Promise<void> {
    body();
    this.#built.push(index);
    this.#uncheckedBytes += Math.max(1, bytes);
    if (this.#uncheckedBytes < this.#everyBytes) return;
    this.#commit();
    await this.#open();
  }

  /** The file is complete then, and another process needs no journal of it. */
  async end(): Promise<void> {
    this.#commit();
    await this.#save(this.#state(stateOf(this.#file.path), false));
    this.#file.beginIndexes();
  }

  async #open(): Promise<void> {
    const state = stateOf(this.#file.path);
    this.#file.beginLoggedIndexes();
    // The first write creates the journal; it also tells a version of bkp that knows no such record to begin anew.
    this.#file.connection.exec('BEGIN IMMEDIATE; PRAGMA main.user_version = -1');
    syncFileSync(journalOf(this.#file.path));
    this.#uncheckedBytes = 0;
    await this.#save(this.#state(state, true));
  }

  #commit(): void {
    this.#file.connection.exec('COMMIT');
    this.#file.close();
  }

  #state({header, bytes}: FileState, isWriting: boolean): IndexState {
    const {notices, lost} = this.#report();
    return {
      ...{isLanded: this.#isLanded, isWriting, header, bytes},
      ...{built: [...this.#built], notices: [...notices], lost: [...lost]},
    };
  }
}

const journalOf = (path: string) => `${path}-journal`;

/** Each transaction of a connection changes the header: it counts them. */
type FileState = {header: string; bytes: number};

/** Nothing has the file open: closing it here would drop the locks of this process. */
function stateOf(path: string): FileState {
  const file = openSync(path, 'r');
  try {
    const header = Buffer.alloc(headerBytes);
    readSync(file, header, 0, headerBytes, 0);
    return {header: header.toString('hex'), bytes: fstatSync(file).size};
  } finally {
    closeSync(file);
  }
}

/**
 * Sets the file of an ended process back to what its record says, and replaces the one that SQLite has just made.
 * @param fresh the new file; nothing has either of them open
 * @param left the file of the ended process; its path is free afterwards
 * @returns false if the file is not as the record says, or another process was faster; then the new file is as it was
 */
export function takeOverIndexes(fresh: string, left: string, {header, bytes, isWriting}: IndexState): boolean {
  const journal = journalOf(left);
  if (isWriting && (statSync(journal, {throwIfNoEntry: false})?.size ?? 0) === 0) return false;
  if (existsSync(`${left}-wal`)) return false;
  try {
    // SQLite rolls a transaction back that did not end.
    withConnection(left, {}, () => {});
    const state = stateOf(left);
    if (state.header !== header || state.bytes !== bytes) return false;
    renameSync(left, fresh);
  } catch {
    return false;
  }
  rmSync(journal, {force: true});
  return true;
}
