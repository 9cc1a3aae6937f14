import {closeSync, type Dirent, fstatSync, openSync, readdirSync, statSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {bytesBeforeZeros} from '../format/lengths.ts';
import type {LeftOut} from './left-out.ts';
import {blockBytes, type ListedFile, type Patch} from './listed-file.ts';
import type {FileTimes, Stamper} from './stamp.ts';

export type Listing = {
  root: string;
  /** The server is running, so it recovers the files after a restore. */
  isLive: boolean;
  stamp: Stamper;
  /** Whether a file with these times was last written before the checkpoint. */
  isSettled: (times: FileTimes) => boolean;
  /** Complete when all tables are listed. */
  leftOut: LeftOut;
};

/** A file of a table below the root. */
export type RootFile = {path: string; table: string};

type FileWanted = {
  path: string;
  /** Path of the file to read; default `path`. */
  from?: string | undefined;
  table?: string | undefined;
  optional?: true | undefined;
  /** Bytes of the backup that differ from those in the file; such a file is read by every backup. */
  patches?: readonly Patch[];
  /** Length that belongs to the backup; absent: up to the zeros at the end, which a restore recreates. */
  validBytes?: number;
  numberBytes?: number;
  /**
   * What else the server changes when it overwrites valid bytes of the file, see `version.ts`. Absent: it may overwrite
   * them at any time, so every backup of a running server reads the file.
   */
  version?: string | undefined;
};

/*
 * Files are listed with synchronous calls. Each takes some microseconds, and many times that through Node's thread
 * pool: on a busy machine, listing a root of 20,000 files that way took minutes, most of them waiting for a
 * processor.
 */

/**
 * @returns undefined when there is no such file.
 * @throws BkpError `SOURCE_DAMAGED` when it is shorter than `validBytes`
 */
export function listFile(listing: Listing, wanted: FileWanted): ListedFile | undefined {
  const {from, patches, validBytes, path, table, optional, numberBytes, version} = wanted;
  const source = {path: from ?? path, table};
  const found = validBytes === undefined ? looseEnd(listing, source) : fixedEnd(listing, source, validBytes);
  if (found === undefined) return undefined;
  const {times, sizeBytes, zeroTailBytes} = found;
  const stamp = patches === undefined ? listing.stamp(times, sizeBytes, version) : undefined;
  return {
    path,
    sizeBytes,
    zeroTailBytes,
    blockBytes,
    openEnded: validBytes === undefined,
    table,
    optional,
    numberBytes,
    stamp,
    from,
    patches,
  };
}

type Extent = {times: FileTimes; sizeBytes: number; zeroTailBytes: number};

/** @returns undefined when there is no such file */
export function timesOf({root}: Listing, {path, table}: Source): FileTimes | undefined {
  return ifPresent(join(root, path), table, (source) => statSync(source, {bigint: true}));
}

function fixedEnd(listing: Listing, {path, table}: Source, validBytes: number): Extent | undefined {
  const times = timesOf(listing, {path, table});
  if (times === undefined) return undefined;
  if (validBytes > Number(times.size)) throw tooShort({path, table}, Number(times.size), validBytes);
  return {times, sizeBytes: validBytes, zeroTailBytes: 0};
}

function looseEnd(listing: Listing, source: Source): Extent | undefined {
  return withFile(listing, source, (file) => {
    // Before the bytes: the stamp must not hide a write that happens between the two reads.
    const times = fstatSync(file, {bigint: true});
    const sizeBytes = bytesBeforeZeros(file, Number(times.size));
    return {times, sizeBytes, zeroTailBytes: Number(times.size) - sizeBytes};
  });
}

type Source = {path: string; table?: string | undefined};

/** For files that take long to read. @returns undefined when there is no such file */
export async function openFile({root}: Listing, {path, table}: Source): Promise<FileHandle | undefined> {
  const source = join(root, path);
  try {
    return await open(source, 'r');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, source, table);
  }
}

/** @returns undefined when there is no such file */
export function withFile<T>({root}: Listing, {path, table}: Source, use: (file: number) => T): T | undefined {
  const source = join(root, path);
  const file = ifPresent(source, table, (name) => openSync(name, 'r'));
  if (file === undefined) return undefined;
  try {
    return use(file);
  } catch (error) {
    throw unreadable(error, source, table);
  } finally {
    closeSync(file);
  }
}

/** @returns undefined when the path does not exist */
function ifPresent<T>(path: string, table: string | undefined, read: (path: string) => T): T | undefined {
  try {
    return read(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path, table);
  }
}

function tooShort({path, table}: Source, bytes: number, wanted: number): BkpError {
  return new BkpError('SOURCE_DAMAGED', `${path} of table ${table} has ${bytes} bytes, but its rows need ${wanted}`, {
    next: 'the table is damaged: compare it with what the server returns for it',
    context: {path, table},
  });
}

/** For a file that the checkpoint names: a backup without it would be incomplete. */
export function missingFile(path: string, table: string): BkpError {
  return new BkpError('SOURCE_DAMAGED', `table ${table} has lost ${path}, which is part of its rows`, {
    next: 'take the backup again; if it is still missing, the table is damaged: restore it from an earlier backup',
    context: {path, table},
  });
}

/** Empty for a folder that does not exist. */
export function readFolder({root}: Listing, folder: string, table?: string): Dirent[] {
  return ifPresent(join(root, folder), table, (path) => readdirSync(path, {withFileTypes: true})) ?? [];
}

/** Empty for a folder that does not exist. */
export function readNames({root}: Listing, folder: string, table: string): string[] {
  return ifPresent(join(root, folder), table, (path) => readdirSync(path)) ?? [];
}

/**
 * The files of one folder, and the paths of its folders. Lock files are left out: they belong to a running server and
 * contain no data. A file that vanishes while the folder is listed is not part of the backup; callers check the files
 * that must exist.
 */
export function listFolder(
  listing: Listing,
  folder: string,
  table?: string,
  isWanted: (name: string) => boolean = () => true,
): {files: ListedFile[]; folders: string[]} {
  return listEntries(listing, folder, {entries: readFolder(listing, folder, table), table, isWanted});
}

/** {@link listFolder} of a folder that was read. */
export function listEntries(
  listing: Listing,
  folder: string,
  {
    entries,
    table,
    isWanted = () => true,
  }: {entries: readonly Dirent[]; table: string | undefined; isWanted?: (name: string) => boolean},
): {files: ListedFile[]; folders: string[]} {
  const isLock = (name: string) => name.endsWith('.lock');
  const files = entries
    .filter((entry) => entry.isFile() && isWanted(entry.name) && !isLock(entry.name))
    .map(({name}) => listFile(listing, {path: `${folder}/${name}`, table}));
  // The folder of a table may be a link to another volume.
  const folders = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
  return {files: present(files), folders: folders.map((entry) => `${folder}/${entry.name}`)};
}

export const present = (files: readonly (ListedFile | undefined)[]): ListedFile[] =>
  files.filter((file) => file !== undefined);
