import {closeSync, linkSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {systemCode} from '../errors/index.ts';
import {syncFileSync, syncFolderSync} from './files.ts';

/** A file that gets its name when it is complete. Always end it with `discard`. */
export type NewFile = {
  /** Where it is written: in a folder of its own beside its place. */
  path: string;
  /**
   * Makes it durable and gives it its name.
   * @throws Error `EEXIST` when a file appeared there
   */
  place(): void;
  /** Removes what is left. */
  discard(): void;
};

/** A folder of a process that ended is removed once nothing in it has changed for this long. */
const abandonedMs = 60_000;

/**
 * Also removes what processes that were killed left there.
 * @param options.id distinguishes the files of one process
 * @throws Error of the file system
 */
export function beginNewFile(target: string, {pid, id, nowMs}: {pid: number; id: string; nowMs: number}): NewFile {
  removeAbandoned(dirname(target), nowMs);
  const folder = join(dirname(target), `.${basename(target)}.bkp-new-${pid}-${id}`);
  mkdirSync(folder, 0o700);
  const path = join(folder, basename(target));
  return {
    path,
    place: () => {
      syncFileSync(path);
      linkOrRename(path, target);
      syncFolderSync(dirname(target));
    },
    discard: () => rmSync(folder, {recursive: true, force: true}),
  };
}

/** Never replaces a file. */
function linkOrRename(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error;
    // Not every file system has links. There an empty file reserves the name until it is replaced.
    closeSync(openSync(to, 'wx'));
    renameSync(from, to);
  }
}

function removeAbandoned(folder: string, nowMs: number): void {
  for (const name of readdirSync(folder)) {
    const [, pid] = /^\..*\.bkp-new-(\d+)-[0-9a-f]+$/.exec(name) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const path = join(folder, name);
    // A process of another machine may be writing to a shared disk.
    if (nowMs - lastChangeMs(path) > abandonedMs) rmSync(path, {recursive: true, force: true});
  }
}

function lastChangeMs(folder: string): number {
  try {
    const files = readdirSync(folder).map((name) => join(folder, name));
    return Math.max(...[folder, ...files].map((path) => statSync(path).mtimeMs));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
