import {type Meter, startMeter, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {readAhead} from '../../lib/async.ts';
import type {Frozen, FrozenFile} from '../../sources/index.ts';
import {type Column, IdList, type Piece, type VaultWriter} from '../../vault/index.ts';
import {assignChunks, type Catalog, type CatalogFile, isPossible} from '../stored/catalog.ts';
import {requirePaths} from '../stored/paths.ts';
import {Blocks} from './blocks.ts';

/** Blocks that are read ahead, so that the disk is busy while blocks are compressed. */
const blocksAhead = 16;

/** Returns a chunk that a block of a file probably resembles. */
type Likes = (file: CatalogFile, block: number) => Piece['like'];

/** What was copied of a frozen database. */
export type Copied = Catalog & {filesRead: number; bytesRead: number; meter: Meter};

/**
 * Copies the files of a frozen database into the vault. A file with the same stamp as in the parent is taken
 * over unread.
 * @param options.differences stores changed blocks as differences to the parent's blocks at the same position:
 *   smaller, but each costs a read of the store
 */
export async function copyFiles(
  tools: WorkTools,
  writer: VaultWriter,
  frozen: Frozen,
  options: {parent: Catalog | undefined; differences: boolean},
): Promise<Copied> {
  tools.progress({phase: 'ListFiles', bytesDone: 0, itemsDone: 0});
  const {files, total} = assignChunks(await listFiles(tools, frozen));
  for (const text of frozen.facts.leftOut ?? []) tools.notice(text);
  const {parent} = options;
  const before = new Map(parent?.files.map((file) => [file.path, file]));
  const meter = startMeter(tools, {
    bytesTotal: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    itemsTotal: files.length,
  });
  const ids = IdList.empty(total);
  const toRead: CatalogFile[] = [];
  for (const file of files) {
    const known = before.get(file.path);
    if (known === undefined || !isSame(known, file)) {
      toRead.push(file);
      continue;
    }
    ids.copyFrom(parent!.ids, {start: known.firstChunk, count: known.chunks}, file.firstChunk);
    meter.bytes(file.sizeBytes);
    meter.item();
  }
  const likes = options.differences && parent !== undefined ? likesIn(parent, frozen) : () => undefined;
  const positions = chunkPositions(toRead);
  for await (const id of writer.writeChunks(readAhead(readFiles(tools, frozen, toRead, meter, likes), blocksAhead))) {
    ids.set(positions.next().value!, id);
  }
  return {
    files,
    ids,
    filesRead: toRead.length,
    bytesRead: toRead.reduce((sum, file) => sum + file.sizeBytes, 0),
    meter,
  };
}

async function listFiles({signal}: WorkTools, frozen: Frozen): Promise<FrozenFile[]> {
  const files: FrozenFile[] = [];
  for await (const file of frozen.files()) {
    signal.throwIfAborted();
    if (!isPossible(file)) throw new Error(`the source gives ${file.path} an impossible length`);
    files.push(file);
  }
  requirePaths(
    files,
    (message) =>
      new BkpError('UNSUPPORTED', `a file cannot be backed up: ${message}`, {next: 'rename it, or move it elsewhere'}),
  );
  return files;
}

function isSame(known: CatalogFile, file: FrozenFile): boolean {
  const sameCut = known.sizeBytes === file.sizeBytes && known.blockBytes === file.blockBytes;
  return file.stamp !== undefined && known.stamp === file.stamp && sameCut;
}

function* chunkPositions(files: readonly CatalogFile[]): Generator<number> {
  for (const {firstChunk, chunks} of files) for (let block = 0; block < chunks; block++) yield firstChunk + block;
}

/**
 * For a block, the parent's block at the same position of the same file, or of the file that this one was
 * rewritten from.
 */
function likesIn({files, ids}: Catalog, {lineageOf = (path) => path}: Frozen): Likes {
  const before = new Map(files.map((file) => [lineageOf(file.path), file]));
  return (file, block) => {
    const known = before.get(lineageOf(file.path));
    const comparable = known !== undefined && known.blockBytes === file.blockBytes && block < known.chunks;
    return comparable ? ids.at(known.firstChunk + block) : undefined;
  };
}

async function* readFiles(
  {signal}: WorkTools,
  frozen: Frozen,
  files: readonly CatalogFile[],
  meter: Meter,
  likes: Likes,
): AsyncGenerator<Piece> {
  const blocks = new Blocks();
  const memory = (sizeBytes: number) => blocks.take(sizeBytes);
  for (const file of files) {
    let left = file.sizeBytes;
    let block = 0;
    const column: Column | undefined = file.numberBytes === undefined ? undefined : {widthBytes: file.numberBytes};
    if (left > 0) {
      for await (const bytes of frozen.read(file, {memory})) {
        signal.throwIfAborted();
        if (bytes.length !== Math.min(file.blockBytes, left)) throw wrongLength(file, left);
        const like = likes(file, block++);
        const release = () => blocks.release(bytes);
        yield {bytes, release, like, column};
        left -= bytes.length;
        meter.bytes(bytes.length);
      }
    }
    if (left !== 0) throw wrongLength(file, left);
    meter.item();
  }
}

/** A file with a hole must not be committed. */
function wrongLength({path, table, sizeBytes}: FrozenFile, left: number): BkpError {
  const owner = table === undefined ? '' : ` of table ${table}`;
  return new BkpError(
    'SOURCE_DAMAGED',
    `${path}${owner} was read incompletely: ${left} of its ${sizeBytes} bytes are missing`,
    {
      next: 'take the backup again; if it happens again, check the disk',
      context: {path, ...(table === undefined ? {} : {table})},
    },
  );
}
