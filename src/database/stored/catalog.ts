import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import {count, parsedJson, text} from '../../lib/schema.ts';
import type {FrozenFile} from '../../sources/index.ts';
import {IdList, maxChunkBytes, type Recipe, type VaultReader, type VaultWriter} from '../../vault/index.ts';
import type {DatabaseBackup} from './manifest.ts';
import {requirePaths} from './paths.ts';

/** A file, and the position of its chunks among those of all files. */
export type CatalogFile = FrozenFile & {firstChunk: number; chunks: number};

/** The content of a backup: its files, in the order of their chunks. */
export type Catalog = {files: readonly CatalogFile[]; ids: IdList};

/** Chunks of a backup. Their ids take 32 GiB of memory; with blocks of 64 KiB they are 64 TiB. */
const mostChunks = 2 ** 30;

/**
 * Files in one chunk of the list, on average and at most. If one file changes, 2 to 4 KiB of the list are
 * rewritten.
 */
const meanFiles = 16;
const mostFiles = 256;

/** Assigns chunks to each file in turn: one for each block. */
export function assignChunks(files: readonly FrozenFile[]): {files: readonly CatalogFile[]; total: number} {
  let firstChunk = 0;
  const assigned = files.map((file) => {
    const chunks = Math.ceil(file.sizeBytes / file.blockBytes);
    const found = {...file, firstChunk, chunks};
    firstChunk += chunks;
    return found;
  });
  return {files: assigned, total: firstChunk};
}

/** True if a file's numbers are within the limits of the format. */
export function isPossible({sizeBytes, zeroTailBytes, blockBytes}: FrozenFile): boolean {
  const counts = [sizeBytes, zeroTailBytes, blockBytes].every((count) => Number.isSafeInteger(count) && count >= 0);
  return counts && blockBytes >= 1 && blockBytes <= maxChunkBytes;
}

/**
 * Writes the list of files, one line of JSON each. The list is cut into chunks depending on the paths, so
 * unchanged parts are in the vault already.
 */
export async function writeFileList(writer: VaultWriter, files: readonly FrozenFile[]): Promise<Recipe> {
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
 * Reads the files of a backup. Checks that list, chunks and manifest agree, and that no path leads out of the target.
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`
 */
export async function readCatalog(vault: VaultReader, {body, data, list}: DatabaseBackup): Promise<Catalog> {
  const parts: Uint8Array[] = [];
  for await (const part of vault.read(list)) parts.push(part);
  const lines = Buffer.concat(parts).toString('utf8').split('\n').slice(0, -1);
  const files = lines.map((line) => fromLine(line, body.backup));
  requirePaths(files, (message) => disagreement(body.backup, message));
  const {files: assigned, total} = assignChunks(files);
  const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const agree = bytes === data.sizeBytes && files.length === body.files && bytes === body.bytes;
  const ids = agree && total <= mostChunks ? await vault.readIds(data, total) : undefined;
  if (ids === undefined) {
    throw disagreement(body.backup, `${files.length} files with ${bytes} bytes do not match its manifest`);
  }
  return {files: assigned, ids: IdList.over(ids)};
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

/** JSON leaves out what is undefined. The order of the keys is part of what makes equal lists equal chunks. */
function toLine(file: FrozenFile): {[Key in keyof Line]: Line[Key] | undefined} {
  return {
    path: file.path,
    size: file.sizeBytes,
    block: file.blockBytes,
    zeros: file.zeroTailBytes === 0 ? undefined : file.zeroTailBytes,
    table: file.table,
    stamp: file.stamp,
    optional: file.optional,
  };
}

function fromLine(json: string, backup: string): FrozenFile {
  const line = parsedJson<Line>(lineSchema, json, (why) => disagreement(backup, `a line of its file list: ${why}`));
  return {
    path: line.path,
    sizeBytes: line.size,
    blockBytes: line.block,
    zeroTailBytes: line.zeros ?? 0,
    table: line.table,
    stamp: line.stamp,
    optional: line.optional,
  };
}

function disagreement(backup: string, message: string): BkpError {
  return new BkpError('OBJECT_DAMAGED', `the file list of backup ${backup} is damaged: ${message}`, {
    next: 'restore another backup, and report this: the bytes are those that were written',
  });
}

/** FNV-1a, 32 bits: distributes paths evenly, and is the same on every machine. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash >>> 8;
}
