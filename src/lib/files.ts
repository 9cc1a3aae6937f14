import {closeSync, existsSync, fsyncSync, mkdirSync, openSync, read, statSync} from 'node:fs';
import {type FileHandle, open, rename, rm, stat} from 'node:fs/promises';
import {dirname} from 'node:path';
import {promisify} from 'node:util';
import {systemCode} from '../errors/index.ts';
import {requirePlainFile} from './plain-file.ts';

const readOnce = promisify(read);

/** Makes the content of a file, or the names in a folder, durable. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** {@link syncFile} in one blocking call. */
export function syncFileSync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Windows cannot open a folder; there the file system keeps the order of changes to names itself. */
const canSyncFolders = process.platform !== 'win32';

/** Makes names that were added to or removed from `folder` durable. */
export async function syncFolder(folder: string): Promise<void> {
  if (canSyncFolders) await syncFile(folder);
}

/** {@link syncFolder} in one blocking call. */
export function syncFolderSync(folder: string): void {
  if (canSyncFolders) syncFileSync(folder);
}

export async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

/**
 * Reads from `position` until `into` is full or the file ends.
 * @returns the number of bytes read
 */
export async function readFully(descriptor: number, into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const {bytesRead} = await readOnce(descriptor, into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

export type ReplaceOptions = {
  /** A path in the same folder; written first, then renamed. It does not remain after an error. */
  temporary: string;
  /** Permissions, regardless of the umask. */
  mode: number;
  /** Sync the content before the rename. Default false. */
  durable?: boolean;
};

/**
 * Writes a file so that readers see either the old content or the new one, never a part of it.
 * @throws NotAFile if `path` is a device, a pipe or a folder: the rename would put a file into its place
 */
export async function replaceFile(path: string, content: string, options: ReplaceOptions): Promise<void> {
  const {temporary, mode, durable = false} = options;
  for (const each of [path, temporary]) requirePlainFile(each);
  try {
    const handle = await open(temporary, 'w', mode);
    try {
      await handle.writeFile(content);
      // The umask reduces the mode of open.
      await handle.chmod(mode);
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, {force: true}).catch(() => {});
    throw error;
  }
}

/**
 * Creates a folder and its missing parents. Node's own `recursive` option never returns where a folder exists and
 * mkdir(2) in it fails with ENOENT, as in /proc.
 * @param mode of the folders that are created
 * @returns the topmost folder that was created; undefined if the folder existed
 */
export function makeFolderSync(folder: string, mode = 0o777): string | undefined {
  if (isFolder(folder)) return undefined;
  const missing = [folder];
  for (let at = dirname(folder); !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.unshift(at);
  let first: string | undefined;
  for (const path of missing) {
    try {
      mkdirSync(path, mode);
      first ??= path;
    } catch (error) {
      // Another process may have created it meanwhile.
      if (systemCode(error) !== 'EEXIST' || !isFolder(path)) throw error;
    }
  }
  return first;
}

/** {@link makeFolderSync} that blocks the thread only if something is missing. */
export async function makeFolder(folder: string, mode?: number): Promise<string | undefined> {
  const facts = await stat(folder).catch(() => undefined);
  return facts?.isDirectory() ? undefined : makeFolderSync(folder, mode);
}

const isFolder = (path: string) => existsSync(path) && statSync(path).isDirectory();
