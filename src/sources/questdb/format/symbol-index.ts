import type {FileHandle} from 'node:fs/promises';
import {BkpError} from '../../../errors/index.ts';
import {readFully} from '../../../lib/files.ts';

/**
 * The index of a symbol column in one partition. `.k`: a header, then 32 bytes for each key (0 for NULL, the symbol's
 * number + 1 for others): number of rows, first and last block, the number of rows again. `.v`: blocks of row
 * numbers, each for one key, followed by the positions of the key's previous and next block. A key takes the next
 * free block when its last one is full.
 *
 * An index therefore depends only on the column's rows, and bkp builds it from them: while a server runs, its own
 * index files never correspond to a known row. Source: QuestDB's BitmapIndexWriter; compared with what 9.3.4 and
 * 8.2.0 write.
 */
export type IndexShape = {
  /** Row numbers in a block of `.v`: a power of two. */
  blockRows: number;
  /** At least as many as the rows have. */
  keys: number;
  /** At least as many as the rows need. */
  blocks: number;
};

/** The rows of a partition that an index covers. */
export type IndexedRows = {
  /** The column's `.d`: an int32 for each row from `top` on. */
  column: FileHandle;
  path: string;
  top: number;
  /** Rows of the partition; the rows before `top` are not in the index. */
  rows: number;
};

export const headerBytes = 64;
const entryBytes = 32;
const signature = 0xfa;
const nullSymbol = -(2 ** 31);
/** Rows of a column that are read at a time. */
const readRows = 256 * 1024;
/** `.v` is built in parts of this size, each from a complete read of the column: a trade between memory and time. */
const defaultPartBytes = 32 * 1024 * 1024;
/** A larger number cannot be the size of a block. */
const mostBlockRows = 1 << 24;

export const keyFileBytes = ({keys}: IndexShape) => headerBytes + keys * entryBytes;
export const valueFileBytes = (shape: IndexShape) => shape.blocks * blockSize(shape);

const blockSize = ({blockRows}: Pick<IndexShape, 'blockRows'>) => blockRows * 8 + 16;

/**
 * The shape in the header of the server's `.k`. It is at least what the rows of the backup need, because an index
 * only grows.
 * @returns undefined while the server is writing the header or rebuilding the index
 */
export function indexShape(header: Buffer, valueBytes: number, rows: number): IndexShape | undefined {
  if (header.length < headerBytes || header[0] !== signature) return undefined;
  if (header.readBigInt64LE(1) !== header.readBigInt64LE(29)) return undefined;
  const blockRows = header.readInt32LE(17);
  if (!isBlockRows(blockRows)) return undefined;
  const keys = header.readInt32LE(21);
  const size = Number(header.readBigInt64LE(9));
  const blocks = Math.ceil(size / blockSize({blockRows}));
  const isEnough = keys > 0 && size <= valueBytes && blocks * blockRows >= rows;
  return isEnough ? {blockRows, keys, blocks} : undefined;
}

/** Rows in a block, from the header of the server's `.k`; undefined when the header is not valid. */
export function blockRowsOf(header: Buffer): number | undefined {
  if (header.length < headerBytes || header[0] !== signature) return undefined;
  const blockRows = header.readInt32LE(17);
  return isBlockRows(blockRows) ? blockRows : undefined;
}

const isBlockRows = (count: number) => count > 1 && count <= mostBlockRows && (count & (count - 1)) === 0;

/** The exact shape, from the rows themselves. */
export async function measureIndex(rows: IndexedRows, blockRows: number): Promise<IndexShape> {
  const counts = new Counts(1024);
  const full = blockRows - 1;
  let keys = 0;
  let blocks = 0;
  await eachKey(rows, (key) => {
    if (key >= keys) keys = key + 1;
    if ((counts.next(key) & full) === 0) blocks++;
  });
  return {blockRows, keys, blocks};
}

/** `.k` of an index without rows. */
export function emptyKeyFile(blockRows: number): Buffer {
  return keyHeader({blockRows, keys: 0, blocks: 0}, -1);
}

/** `.k`, with the length of `shape`. @throws BkpError `SOURCE_UNAVAILABLE` when the shape is too small for the rows */
export async function makeKeyFile(rows: IndexedRows, shape: IndexShape): Promise<Buffer> {
  const {blockRows} = shape;
  const full = blockRows - 1;
  const counts = new Float64Array(shape.keys);
  const first = new Uint32Array(shape.keys);
  const last = new Uint32Array(shape.keys);
  let keys = 0;
  let blocks = 0;
  await eachKey(rows, (key) => {
    if (key >= shape.keys) throw rebuilt(rows.path);
    if (key >= keys) keys = key + 1;
    const count = counts[key]!++;
    if ((count & full) !== 0) return;
    if (count === 0) first[key] = blocks;
    last[key] = blocks++;
  });
  if (blocks > shape.blocks) throw rebuilt(rows.path);
  const bytes = Buffer.alloc(keyFileBytes(shape));
  keyHeader({blockRows, keys, blocks}, rows.rows - 1).copy(bytes);
  const size = blockSize(shape);
  for (let key = 0; key < keys; key++) {
    const at = headerBytes + key * entryBytes;
    writeCount(bytes, at, counts[key]!);
    writeCount(bytes, at + 8, first[key]! * size);
    writeCount(bytes, at + 16, last[key]! * size);
    writeCount(bytes, at + 24, counts[key]!);
  }
  return bytes;
}

/** `.v`, with the length of `shape`. A part is valid until the next one is requested. */
export async function* makeValueFile(
  rows: IndexedRows,
  shape: IndexShape,
  partBytes: number = defaultPartBytes,
): AsyncGenerator<Uint8Array> {
  const size = blockSize(shape);
  const partBlocks = Math.min(shape.blocks, Math.max(1, Math.floor(partBytes / size)));
  const words = new Uint32Array((partBlocks * size) / 4);
  for (let start = 0; start < shape.blocks; start += partBlocks) {
    const end = Math.min(shape.blocks, start + partBlocks);
    words.fill(0);
    await fillBlocks(rows, shape, words, {start, end});
    yield new Uint8Array(words.buffer, 0, (end - start) * size);
  }
}

async function fillBlocks(
  rows: IndexedRows,
  shape: IndexShape,
  words: Uint32Array,
  {start, end}: {start: number; end: number},
): Promise<void> {
  const {blockRows} = shape;
  const full = blockRows - 1;
  const size = blockSize(shape);
  const blockWords = size / 4;
  const linkWord = blockRows * 2;
  const counts = new Float64Array(shape.keys);
  const last = new Uint32Array(shape.keys);
  let blocks = 0;
  await eachKey(rows, (key, row) => {
    if (key >= shape.keys) throw rebuilt(rows.path);
    const count = counts[key]!++;
    const cell = count & full;
    let block = last[key]!;
    if (cell === 0) {
      const before = block;
      block = blocks++;
      last[key] = block;
      if (count > 0) {
        if (block >= start && block < end) put(words, (block - start) * blockWords + linkWord, before * size);
        if (before >= start && before < end) put(words, (before - start) * blockWords + linkWord + 2, block * size);
      }
    }
    if (block >= start && block < end) put(words, (block - start) * blockWords + cell * 2, row);
  });
  if (blocks > shape.blocks) throw rebuilt(rows.path);
}

/** Two words, the lower one first: QuestDB only runs on little-endian machines. */
function put(words: Uint32Array, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

async function eachKey(rows: IndexedRows, use: (key: number, row: number) => void): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(readRows * 4);
  const symbols = new Int32Array(buffer.buffer, buffer.byteOffset, readRows);
  for (let row = rows.top; row < rows.rows; ) {
    const count = Math.min(readRows, rows.rows - row);
    await readColumn(rows, buffer.subarray(0, count * 4), (row - rows.top) * 4);
    for (let at = 0; at < count; at++, row++) {
      const symbol = symbols[at]!;
      if (symbol < 0 && symbol !== nullSymbol) {
        throw new BkpError('SOURCE_DAMAGED', `${rows.path} has ${symbol} in row ${row}, which is not a symbol`, {
          next: 'check the table; ALTER TABLE … ALTER COLUMN … DROP INDEX removes the index',
          context: {path: rows.path},
        });
      }
      use(symbol === nullSymbol ? 0 : symbol + 1, row);
    }
  }
}

async function readColumn({column, path}: IndexedRows, into: Buffer, position: number): Promise<void> {
  if ((await readFully(column.fd, into, position)) === into.length) return;
  throw new BkpError('SOURCE_UNAVAILABLE', `${path} was truncated while it was read, and the checkpoint needs it`, {
    next: 'take the backup again',
    context: {path},
    retryable: true,
  });
}

function keyHeader({blockRows, keys, blocks}: IndexShape, lastRow: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = signature;
  header.writeBigInt64LE(1n, 1);
  header.writeBigInt64LE(BigInt(blocks * blockSize({blockRows})), 9);
  header.writeInt32LE(blockRows, 17);
  header.writeInt32LE(keys, 21);
  header.writeBigInt64LE(1n, 29);
  header.writeBigInt64LE(BigInt(lastRow), 37);
  return header;
}

function writeCount(bytes: Buffer, at: number, count: number): void {
  bytes.writeUInt32LE(count % 2 ** 32, at);
  bytes.writeUInt32LE(Math.floor(count / 2 ** 32), at + 4);
}

/** The server was rebuilding the index (REINDEX) when bkp read its size. */
function rebuilt(path: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `the index of ${path} was rebuilt while it was copied`, {
    next: 'take the backup again',
    context: {path},
    retryable: true,
  });
}

/** Number of rows of each key; it grows with the keys. */
class Counts {
  #counts: Float64Array;

  constructor(keys: number) {
    this.#counts = new Float64Array(keys);
  }

  /** Adds one. @returns the previous count */
  next(key: number): number {
    if (key >= this.#counts.length) {
      const grown = new Float64Array(2 ** Math.ceil(Math.log2(key + 1)));
      grown.set(this.#counts);
      this.#counts = grown;
    }
    return this.#counts[key]!++;
  }
}
