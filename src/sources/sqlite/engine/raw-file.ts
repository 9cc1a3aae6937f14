import {closeSync, fstatSync, openSync} from 'node:fs';

/**
 * Database files that are opened beside SQLite. Closing any descriptor of a file drops every lock that this process
 * has on it (https://www.sqlite.org/howtocorrupt.html, 2.2), also those of SQLite's connections: another process could
 * then write through a read transaction. So no file of this folder opens a database file but this one, and while any
 * part of the process holds a file, its descriptors stay open.
 */
type Held = {holders: number; toClose: number[]};

/** By device and inode. Locks belong to the process, so what holds them is known to all of it. */
const held = new Map<string, Held>();

/** A descriptor for reading. Only the main thread may have any: threads do not share what is held. */
export class RawFile {
  readonly descriptor: number;
  readonly #inode: string;
  #holds = false;

  constructor(path: string) {
    this.descriptor = openSync(path, 'r');
    this.#inode = inodeOf(fstatSync(this.descriptor, {bigint: true}));
  }

  /** The same for two descriptors of one file. */
  get inode(): string {
    return this.#inode;
  }

  /** From now until `close`, no descriptor of this file is closed. Take it before SQLite takes its locks. */
  hold(): void {
    if (this.#holds) return;
    this.#holds = true;
    const file = held.get(this.#inode) ?? {holders: 0, toClose: []};
    file.holders++;
    held.set(this.#inode, file);
  }

  /** After `hold`: when SQLite's locks are no longer needed. */
  close(): void {
    const file = held.get(this.#inode);
    if (file === undefined) {
      closeSync(this.descriptor);
      return;
    }
    file.toClose.push(this.descriptor);
    if (this.#holds) file.holders--;
    if (file.holders > 0) return;
    held.delete(this.#inode);
    for (const descriptor of file.toClose) closeSync(descriptor);
  }
}

export const inodeOf = ({dev, ino}: {dev: bigint; ino: bigint}) => `${dev}:${ino}`;
