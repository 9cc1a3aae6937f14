import type {Dirent} from 'node:fs';
import {type FileHandle, open, readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import {isAbsent, unreadable} from './bytes.ts';
import {bytesBeforeZeros} from './lengths.ts';
import {blockBytes, type ListedFile, type Patch} from './listed-file.ts';
import type {FileTimes, Stamper} from './stamp.ts';

export type Listing = {
  root: string;
  /** A server runs, and a restore is followed by its recovery. */
  isLive: boolean;
  stamp: Stamper;
  /** Nobody has written a file with these times since before the moment. */
  isSettled: (times: FileTimes) => boolean;
};

/** A file of a table below the root. */
export type RootFile = {path: string; table: string};

type FileWanted = {
  path: string;
  /** Path of the file that has the bytes; absent: `path`. */
  from?: string;
  table?: string;
  optional?: true;
  /** What the moment has in place of the file's own bytes; such a file is read each time. */
  patches?: readonly Patch[];
  /** Bytes that the moment has; absent: all before the zeros at the end, which then come back as zeros. */
  validBytes?: number;
  numberBytes?: number;
};

/** @returns undefined when there is no such file. @throws BkpError `SOURCE_DAMAGED` when it is shorter than `validBytes` */
export async function listFile(listing: Listing, wanted: FileWanted): Promise<ListedFile | undefined> {
  const {from, patches, ...file} = wanted;
  const source = {path: from ?? wanted.path, ...(wanted.table === undefined ? {} : {table: wanted.table})};
  return withFile(listing, source, async (handle) => {
    // Before the bytes are read: a write between the two must not be hidden by the stamp.
    const times = await handle.stat({bigint: true});
    const fileBytes = Number(times.size);
    const {validBytes, path, table, optional, numberBytes} = file;
    if (validBytes !== undefined && validBytes > fileBytes) throw tooShort(wanted, fileBytes, validBytes);
    const sizeBytes = validBytes ?? (await bytesBeforeZeros(handle, fileBytes));
    const stamp = patches === undefined ? listing.stamp(times, sizeBytes) : undefined;
    return {
      path,
      sizeBytes,
      zeroTailBytes: validBytes === undefined ? fileBytes - sizeBytes : 0,
      blockBytes,
      openEnded: validBytes === undefined,
      ...(table === undefined ? {} : {table}),
      ...(optional === undefined ? {} : {optional}),
      ...(numberBytes === undefined ? {} : {numberBytes}),
      ...(stamp === undefined ? {} : {stamp}),
      ...(from === undefined ? {} : {from}),
      ...(patches === undefined ? {} : {patches}),
    };
  });
}

/** @returns undefined when there is no such file */
export async function openFile(
  {root}: Listing,
  {path, table}: {path: string; table?: string},
): Promise<FileHandle | undefined> {
  const source = join(root, path);
  try {
    return await open(source, 'r');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, source, table);
  }
}

/** @returns undefined when there is no such file */
export async function withFile<T>(
  listing: Listing,
  file: {path: string; table?: string},
  use: (handle: FileHandle) => Promise<T>,
): Promise<T | undefined> {
  const handle = await openFile(listing, file);
  if (handle === undefined) return undefined;
  try {
    return await use(handle);
  } catch (error) {
    throw unreadable(error, join(listing.root, file.path), file.table);
  } finally {
    await handle.close();
  }
}

function tooShort({path, table}: FileWanted, bytes: number, wanted: number): BkpError {
  return new BkpError('SOURCE_DAMAGED', `${path} of table ${table} has ${bytes} bytes, and its rows need ${wanted}`, {
    next: 'the table is damaged: compare with what the server says of it',
    context: {path, ...(table === undefined ? {} : {table})},
  });
}

/** What the moment names is not there: a backup without it would have a hole. */
export function missingFile(path: string, table: string): BkpError {
  return new BkpError('SOURCE_DAMAGED', `table ${table} has lost ${path}, which belongs to its rows`, {
    next: 'take the backup again; if it is still missing, the table is damaged: restore it from an earlier backup',
    context: {path, table},
  });
}

/** Files that are opened at once while they are listed. */
const filesAtOnce = 32;

export async function inTurns<T>(items: readonly T[], list: (item: T) => Promise<ListedFile[]>): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  for (let at = 0; at < items.length; at += filesAtOnce) {
    files.push(...(await Promise.all(items.slice(at, at + filesAtOnce).map(list))).flat());
  }
  return files;
}

/** Nothing for a folder that is not there. */
export async function readFolder({root}: Listing, folder: string, table?: string): Promise<Dirent[]> {
  const path = join(root, folder);
  return readdir(path, {withFileTypes: true}).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw unreadable(error, path, table);
  });
}

export async function readNames(listing: Listing, folder: string, table: string): Promise<string[]> {
  return (await readFolder(listing, folder, table)).map(({name}) => name);
}

/**
 * The files of one folder but locks, which belong to a running server and say nothing of the data; and its folders' paths.
 * What vanishes between two looks does not belong to the moment: the caller asks for what must be there.
 */
export async function listFolder(
  listing: Listing,
  folder: string,
  table?: string,
  isWanted: (name: string) => boolean = () => true,
): Promise<{files: ListedFile[]; folders: string[]}> {
  const entries = await readFolder(listing, folder, table);
  const isLock = (name: string) => name.endsWith('.lock');
  const files = await inTurns(
    entries.filter((entry) => entry.isFile() && isWanted(entry.name) && !isLock(entry.name)),
    async (entry) => {
      const found = await listFile(listing, {path: `${folder}/${entry.name}`, ...(table === undefined ? {} : {table})});
      return found === undefined ? [] : [found];
    },
  );
  // A folder may be a link to another volume.
  const folders = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
  return {files, folders: folders.map((entry) => `${folder}/${entry.name}`)};
}
