import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import {count, parsedJson, text} from '../../lib/schema.ts';
import type {FrozenFile} from '../../sources/index.ts';
import {IdList, maxChunkBytes, type Recipe, type VaultReader, type VaultWriter} from '../../vault/index.ts';
import type {DatabaseBackup} from './manifest.ts';
import {requirePaths} from './paths.ts';

/** A file and where its chunks are among those of all files. */
export type CatalogFile = FrozenFile & {firstChunk: number; chunks: number};

/** What a backup holds: its files, in the order in which their chunks follow each other. */
export type Catalog = {files: readonly CatalogFile[]; ids: IdList};

/** Their ids take 32 GiB of memory. With blocks of 64 KiB these are 64 TiB. */
const mostChunks = 2 ** 30;

/** Files on one piece of the list, on average and at most: a change of one file writes 2 to 4 KiB anew. */
const meanFiles = 16;
const mostFiles = 256;

/** Gives each file its chunks: one for each block, file after file. */
export function placeChunks(files: readonly FrozenFile[]): {files: readonly CatalogFile[]; total: number} {
  let firstChunk = 0;
  const placed = files.map((file) => {
    const chunks = Math.ceil(file.sizeBytes / file.blockBytes);
    const found = {...file, firstChunk, chunks};
    firstChunk += chunks;
    return found;
  });
  return {files: placed, total: firstChunk};
}

/** True when the numbers of a file are such that they can be written and read. */
export function isPossible({sizeBytes, zeroTailBytes, blockBytes}: FrozenFile): boolean {
  const counts = [sizeBytes, zeroTailBytes, blockBytes].every((count) => Number.isSafeInteger(count) && count >= 0);
  return counts && blockBytes >= 1 && blockBytes <= maxChunkBytes;
}

/** Stores the list of files: one line of JSON each, in pieces that are cut by the paths, so that an unchanged list costs nothing. */
export async function storeFileList(writer: VaultWriter, files: readonly FrozenFile[]): Promise<Recipe> {
  const pieces: {bytes: Buffer}[] = [];
  let lines: string[] = [];
  for (const [at, file] of files.entries()) {
    lines.push(`${JSON.stringify(toLine(file))}\n`);
    const isCut = hashOf(file.path) % meanFiles === 0 || lines.length === mostFiles || at === files.length - 1;
    if (!isCut) continue;
    pieces.push({bytes: Buffer.from(lines.join(''))});
    lines = [];
  }
  const ids = IdList.empty(pieces.length);
  let at = 0;
  for await (const id of writer.writeChunks(pieces)) ids.set(at++, id);
  return writer.writeIds(
    ids.bytes(),
    pieces.reduce((sum, {bytes}) => sum + bytes.length, 0),
  );
}

/**
 * Reads what a backup holds, and checks that list, chunks and manifest agree and that no path leads out of the target.
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`
 */
export async function readCatalog(vault: VaultReader, {body, data, list}: DatabaseBackup): Promise<Catalog> {
  const parts: Uint8Array[] = [];
  for await (const part of vault.read(list)) parts.push(part);
  const lines = Buffer.concat(parts).toString('utf8').split('\n').slice(0, -1);
  const files = lines.map((line) => fromLine(line, body.backup));
  requirePaths(files, (message) => disagreement(body.backup, message));
  const {files: placed, total} = placeChunks(files);
  const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const agree = bytes === data.sizeBytes && files.length === body.files && bytes === body.bytes;
  const ids = agree && total <= mostChunks ? await vault.readIds(data, total) : undefined;
  if (ids === undefined) {
    throw disagreement(body.backup, `${files.length} files with ${bytes} bytes are not what its manifest says`);
  }
  return {files: placed, ids: IdList.over(ids)};
}

const lineSchema = v.object({
  path: text,
  size: count,
  block: v.pipe(count, v.minValue(1), v.maxValue(maxChunkBytes)),
  zeros: v.exactOptional(count),
  table: v.exactOptional(text),
  stamp: v.exactOptional(text),
  optional: v.exactOptional(v.literal(true)),
});
type Line = v.InferOutput<typeof lineSchema>;

function toLine(file: FrozenFile): Line {
  return {
    path: file.path,
    size: file.sizeBytes,
    block: file.blockBytes,
    ...(file.zeroTailBytes === 0 ? {} : {zeros: file.zeroTailBytes}),
    ...(file.table === undefined ? {} : {table: file.table}),
    ...(file.stamp === undefined ? {} : {stamp: file.stamp}),
    ...(file.optional === undefined ? {} : {optional: true}),
  };
}

function fromLine(json: string, backup: string): FrozenFile {
  const line = parsedJson<Line>(lineSchema, json, (why) => disagreement(backup, `a line of its file list: ${why}`));
  return {
    path: line.path,
    sizeBytes: line.size,
    blockBytes: line.block,
    zeroTailBytes: line.zeros ?? 0,
    ...(line.table === undefined ? {} : {table: line.table}),
    ...(line.stamp === undefined ? {} : {stamp: line.stamp}),
    ...(line.optional === undefined ? {} : {optional: true}),
  };
}

function disagreement(backup: string, message: string): BkpError {
  return new BkpError('OBJECT_DAMAGED', `the file list of backup ${backup} is damaged: ${message}`, {
    next: 'restore another backup, and report this: the bytes are what was written',
  });
}

/** FNV-1a, 32 bits: spreads paths, and is the same everywhere. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash >>> 8;
}
