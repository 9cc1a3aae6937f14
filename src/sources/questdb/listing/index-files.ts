import {readSync} from 'node:fs';
import type {FileHandle} from 'node:fs/promises';
import {inBlocks} from '../../../lib/blocks.ts';
import type {Column} from '../format/meta.ts';
import {
  blockRowsOf,
  emptyKeyFile,
  headerBytes,
  type IndexedRows,
  type IndexShape,
  indexShape,
  keyFileBytes,
  makeKeyFile,
  makeValueFile,
  measureIndex,
  valueFileBytes,
} from '../format/symbol-index.ts';
import {type Listing, listFile, missingFile, openFile, type RootFile, timesOf, withFile} from './list-file.ts';
import {type BlockMemory, blockBytes, type ListedFile} from './listed-file.ts';

/** The values of an index are row numbers. */
const rowIdBytes = 8;

type IndexWanted = RootFile & {
  column: Column;
  /** Paths of `.k` and `.v`. */
  keys: string;
  values: string;
  /** The first row that has a value in the column, and the number of rows in the partition. */
  top: number;
  rows: number;
  /** That of the column's rows. */
  version: string;
};

/**
 * `.k` and `.v` of an indexed column, built from the rows in its `.d` that belong to the backup. The server's own
 * files also contain later rows, and rows that are being written.
 */
export async function listIndex(listing: Listing, wanted: IndexWanted): Promise<ListedFile[]> {
  const header = readHeader(listing, {path: wanted.keys, table: wanted.table});
  // A column that was added after the last row has no index until it gets its first row.
  if (header === undefined && wanted.top >= wanted.rows) return [];
  const blockRows = (header && blockRowsOf(header)) ?? wanted.column.indexBlockRows;
  if (wanted.top >= wanted.rows) return emptyIndex(wanted, blockRows);
  const shape = (header && shapeOf(listing, wanted, header)) ?? (await measured(listing, wanted, blockRows));
  const stamp = stampOf(listing, wanted, shape);
  const common = {
    table: wanted.table,
    zeroTailBytes: 0,
    blockBytes,
    openEnded: false,
    stamp,
  };
  return [
    {
      ...common,
      path: wanted.keys,
      sizeBytes: keyFileBytes(shape),
      make: (memory) => madeInBlocks(keyParts(listing, wanted, shape), keyFileBytes(shape), memory),
    },
    {
      ...common,
      path: wanted.values,
      sizeBytes: valueFileBytes(shape),
      numberBytes: rowIdBytes,
      make: (memory) => madeInBlocks(valueParts(listing, wanted, shape), valueFileBytes(shape), memory),
    },
  ];
}

/** An index without rows, which the server fills. */
export function emptyIndex(
  {keys, values, table}: {keys: string; values: string; table: string},
  blockRows: number,
): ListedFile[] {
  const bytes = emptyKeyFile(blockRows);
  const common = {table, zeroTailBytes: 0, blockBytes, openEnded: false, stamp: `empty.${blockRows}`};
  return [
    {...common, path: keys, sizeBytes: bytes.length, make: (memory) => madeInBlocks([bytes], bytes.length, memory)},
    {...common, path: values, sizeBytes: 0},
  ];
}

/** Rows in a block of the server's `.k`; undefined when there is no such file. */
export function blockRowsIn(listing: Listing, file: RootFile): number | undefined {
  const header = readHeader(listing, file);
  return header === undefined ? undefined : blockRowsOf(header);
}

function readHeader(listing: Listing, file: RootFile): Buffer | undefined {
  return withFile(listing, file, (open) => {
    const buffer = Buffer.alloc(headerBytes);
    return buffer.subarray(0, readSync(open, buffer, 0, buffer.length, 0));
  });
}

function shapeOf(listing: Listing, {values, table, top, rows}: IndexWanted, header: Buffer): IndexShape | undefined {
  const found = timesOf(listing, {path: values, table});
  return found === undefined ? undefined : indexShape(header, Number(found.size), rows - top);
}

/** The same rows give the same index, and the same shape the same zeros after it. */
function stampOf(
  listing: Listing,
  {path, table, version, rows, top}: IndexWanted,
  {blockRows, keys, blocks}: IndexShape,
): string | undefined {
  const column = listFile(listing, {path, table, version, validBytes: (rows - top) * 4});
  if (column?.stamp === undefined) return undefined;
  return ['index', blockRows, keys, blocks, top, column.stamp].join('.');
}

async function measured(listing: Listing, wanted: IndexWanted, blockRows: number): Promise<IndexShape> {
  const column = await openColumn(listing, wanted);
  try {
    return await measureIndex(column.rows, blockRows);
  } finally {
    await column.handle.close();
  }
}

async function* keyParts(listing: Listing, wanted: IndexWanted, shape: IndexShape): AsyncGenerator<Uint8Array> {
  const {handle, rows} = await openColumn(listing, wanted);
  try {
    yield await makeKeyFile(rows, shape);
  } finally {
    await handle.close();
  }
}

async function* valueParts(listing: Listing, wanted: IndexWanted, shape: IndexShape): AsyncGenerator<Uint8Array> {
  const {handle, rows} = await openColumn(listing, wanted);
  try {
    yield* makeValueFile(rows, shape);
  } finally {
    await handle.close();
  }
}

async function openColumn(
  listing: Listing,
  {path, table, top, rows}: IndexWanted,
): Promise<{handle: FileHandle; rows: IndexedRows}> {
  const handle = await openFile(listing, {path, table});
  if (handle === undefined) throw missingFile(path, table);
  return {handle, rows: {column: handle, path, top, rows}};
}

function madeInBlocks(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  sizeBytes: number,
  memory: BlockMemory,
): AsyncIterable<Uint8Array> {
  let left = sizeBytes;
  return inBlocks(parts, () => {
    const block = memory(Math.min(blockBytes, left));
    left -= block.length;
    return block;
  });
}
