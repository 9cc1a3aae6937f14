import {type FileHandle, open, readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import {isAbsent, unreadable} from './bytes.ts';
import {bytesBeforeZeros} from './lengths.ts';
import {blockBytes, type ListedFile} from './listed-file.ts';
import type {Stamper} from './stamp.ts';

export type Listing = {root: string; stamp: Stamper};

type FileWanted = {
  path: string;
  table?: string;
  optional?: true;
  /** Bytes that the moment has; absent: all before the zeros at the end, which then come back as zeros. */
  validBytes?: number;
  numberBytes?: number;
};

/** @returns undefined when there is no such file. @throws BkpError `SOURCE_DAMAGED` when it is shorter than `validBytes` */
export async function listFile(listing: Listing, wanted: FileWanted): Promise<ListedFile | undefined> {
  return withFile(listing, wanted, async (handle) => {
    // Before the bytes are read: a write between the two must not be hidden by the stamp.
    const times = await handle.stat({bigint: true});
    const fileBytes = Number(times.size);
    const {validBytes, path, table, optional, numberBytes} = wanted;
    if (validBytes !== undefined && validBytes > fileBytes) throw tooShort(wanted, fileBytes, validBytes);
    const sizeBytes = validBytes ?? (await bytesBeforeZeros(handle, fileBytes));
    const stamp = listing.stamp(times, sizeBytes);
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
    };
  });
}

/** @returns undefined when there is no such file */
export async function withFile<T>(
  {root}: Listing,
  {path, table}: {path: string; table?: string},
  use: (handle: FileHandle) => Promise<T>,
): Promise<T | undefined> {
  const source = join(root, path);
  let handle: FileHandle;
  try {
    handle = await open(source, 'r');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, source, table);
  }
  try {
    return await use(handle);
  } catch (error) {
    throw unreadable(error, source, table);
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
  const path = join(listing.root, folder);
  const entries = await readdir(path, {withFileTypes: true}).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw unreadable(error, path, table);
  });
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
