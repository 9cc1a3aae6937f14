import {closeSync, type Dirent, fstatSync, openSync, readdirSync, statSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {bytesBeforeZeros} from '../format/lengths.ts';
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

/*
 * Files are looked at by calls that wait, one after the other. A look takes some microseconds, and through Node's pool of threads
 * many times that: on a busy machine a root of 20,000 files took minutes to list, most of it in waiting for a turn of the processor.
 */

/** @returns undefined when there is no such file. @throws BkpError `SOURCE_DAMAGED` when it is shorter than `validBytes` */
export function listFile(listing: Listing, wanted: FileWanted): ListedFile | undefined {
  const {from, patches, ...file} = wanted;
  const {validBytes, path, table, optional, numberBytes} = file;
  const source = {path: from ?? path, ...(table === undefined ? {} : {table})};
  const look = validBytes === undefined ? looseEnd(listing, source) : fixedEnd(listing, source, validBytes);
  if (look === undefined) return undefined;
  const {times, sizeBytes, zeroTailBytes} = look;
  const stamp = patches === undefined ? listing.stamp(times, sizeBytes) : undefined;
  return {
    path,
    sizeBytes,
    zeroTailBytes,
    blockBytes,
    openEnded: validBytes === undefined,
    ...(table === undefined ? {} : {table}),
    ...(optional === undefined ? {} : {optional}),
    ...(numberBytes === undefined ? {} : {numberBytes}),
    ...(stamp === undefined ? {} : {stamp}),
    ...(from === undefined ? {} : {from}),
    ...(patches === undefined ? {} : {patches}),
  };
}

type Look = {times: FileTimes; sizeBytes: number; zeroTailBytes: number};

/** @returns undefined when there is no such file */
export function timesOf({root}: Listing, {path, table}: Source): FileTimes | undefined {
  return lookAt(join(root, path), table, (source) => statSync(source, {bigint: true}));
}

function fixedEnd(listing: Listing, {path, table}: Source, validBytes: number): Look | undefined {
  const times = timesOf(listing, {path, table});
  if (times === undefined) return undefined;
  if (validBytes > Number(times.size)) throw tooShort({path, table}, Number(times.size), validBytes);
  return {times, sizeBytes: validBytes, zeroTailBytes: 0};
}

function looseEnd(listing: Listing, source: Source): Look | undefined {
  return withFile(listing, source, (file) => {
    // Before the bytes are read: a write between the two must not be hidden by the stamp.
    const times = fstatSync(file, {bigint: true});
    const sizeBytes = bytesBeforeZeros(file, Number(times.size));
    return {times, sizeBytes, zeroTailBytes: Number(times.size) - sizeBytes};
  });
}

type Source = {path: string; table?: string | undefined};

/** For files that are read long. @returns undefined when there is no such file */
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
  const file = lookAt(source, table, (name) => openSync(name, 'r'));
  if (file === undefined) return undefined;
  try {
    return use(file);
  } catch (error) {
    throw unreadable(error, source, table);
  } finally {
    closeSync(file);
  }
}

/** @returns undefined when there is nothing of that name */
function lookAt<T>(path: string, table: string | undefined, look: (path: string) => T): T | undefined {
  try {
    return look(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path, table);
  }
}

function tooShort({path, table}: Source, bytes: number, wanted: number): BkpError {
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

/** Nothing for a folder that is not there. */
export function readFolder({root}: Listing, folder: string, table?: string): Dirent[] {
  return lookAt(join(root, folder), table, (path) => readdirSync(path, {withFileTypes: true})) ?? [];
}

/** Nothing for a folder that is not there. */
export function readNames({root}: Listing, folder: string, table: string): string[] {
  return lookAt(join(root, folder), table, (path) => readdirSync(path)) ?? [];
}

/**
 * The files of one folder but locks, which belong to a running server and say nothing of the data; and its folders' paths.
 * What vanishes between two looks does not belong to the moment: the caller asks for what must be there.
 */
export function listFolder(
  listing: Listing,
  folder: string,
  table?: string,
  isWanted: (name: string) => boolean = () => true,
): {files: ListedFile[]; folders: string[]} {
  const entries = readFolder(listing, folder, table);
  const isLock = (name: string) => name.endsWith('.lock');
  const files = entries
    .filter((entry) => entry.isFile() && isWanted(entry.name) && !isLock(entry.name))
    .map(({name}) => listFile(listing, {path: `${folder}/${name}`, ...(table === undefined ? {} : {table})}));
  // A folder may be a link to another volume.
  const folders = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
  return {files: present(files), folders: folders.map((entry) => `${folder}/${entry.name}`)};
}

export const present = (files: readonly (ListedFile | undefined)[]): ListedFile[] =>
  files.filter((file) => file !== undefined);
