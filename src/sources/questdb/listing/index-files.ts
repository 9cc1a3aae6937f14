import {readSync, statSync} from 'node:fs';
import type {FileHandle} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
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
import type {TableState} from '../format/table.ts';
import type {Partition} from '../format/txn.ts';
import {type Listing, listFile, lookAt, missingFile, openFile, type RootFile, withFile} from './list-file.ts';
import {type BlockMemory, blockBytes, type ListedFile} from './listed-file.ts';
import type {FileTimes} from './stamp.ts';

/** An index's values are numbers of rows. */
const rowIdBytes = 8;

type IndexWanted = RootFile & {
  column: Column;
  /** Paths of `.k` and `.v`. */
  keys: string;
  values: string;
  /** First row that the column has a value of, and the partition's rows. */
  top: number;
  rows: number;
};

/**
 * `.k` and `.v` of an indexed column, made from the rows of the moment in its `.d`. The server's own are those of no known
 * moment: they tell of rows that came later, and of rows that are being written.
 */
export async function listIndex(listing: Listing, wanted: IndexWanted): Promise<ListedFile[]> {
  const header = readHeader(listing, {path: wanted.keys, table: wanted.table});
  // A column that was added after the last row has no index before its first one.
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
    ...(stamp === undefined ? {} : {stamp}),
  };
  return [
    {
      ...common,
      path: wanted.keys,
      sizeBytes: keyFileBytes(shape),
      make: (memory) => inBlocks(keyParts(listing, wanted, shape), keyFileBytes(shape), memory),
    },
    {
      ...common,
      path: wanted.values,
      sizeBytes: valueFileBytes(shape),
      numberBytes: rowIdBytes,
      make: (memory) => inBlocks(valueParts(listing, wanted, shape), valueFileBytes(shape), memory),
    },
  ];
}

/** An index without rows: the server fills it. */
export function emptyIndex(
  {keys, values, table}: {keys: string; values: string; table: string},
  blockRows: number,
): ListedFile[] {
  const bytes = emptyKeyFile(blockRows);
  const common = {table, zeroTailBytes: 0, blockBytes, openEnded: false, stamp: `empty.${blockRows}`};
  return [
    {...common, path: keys, sizeBytes: bytes.length, make: (memory) => inBlocks([bytes], bytes.length, memory)},
    {...common, path: values, sizeBytes: 0},
  ];
}

/** How many rows a block of the server's `.k` has; undefined when there is no such file. */
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

/** The same rows make the same index. */
function stampOf(listing: Listing, {path, table, ...wanted}: IndexWanted, shape: IndexShape): string | undefined {
  const validBytes = (wanted.rows - wanted.top) * 4;
  const column = listFile(listing, {path, table, validBytes});
  if (column?.stamp === undefined) return undefined;
  return ['index', shape.blockRows, wanted.top, column.stamp].join('.');
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

/** Cut as the blocks of a file are, each in memory of its own. */
async function* inBlocks(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  sizeBytes: number,
  memory: BlockMemory,
): AsyncGenerator<Uint8Array> {
  let left = sizeBytes;
  let block = memory(Math.min(blockBytes, left));
  let filled = 0;
  for await (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const taken = Math.min(part.length - at, block.length - filled);
      block.set(part.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < block.length) continue;
      yield block;
      left -= block.length;
      if (left === 0) return;
      block = memory(Math.min(blockBytes, left));
      filled = 0;
    }
  }
}

type ParquetIndexWanted = {folder: string; partition: Partition; column: Column; names: readonly string[]};

/**
 * An indexed column of a partition in Parquet has its index in files beside it. bkp cannot make these, because the rows are in
 * Parquet; and the server writes them when it converts the partition, and anew when late rows come into it. So they are taken
 * when nobody wrote them since before the moment, until they were read; otherwise there is no backup.
 */
export function listParquetIndex(
  listing: Listing,
  {name: table, columns}: TableState,
  {folder, partition, column, names}: ParquetIndexWanted,
): ListedFile[] {
  const place = columns.place(partition.timestamp, column.index);
  if (place === undefined) return [];
  const suffix = place.nameTxn === -1n ? '' : `.${place.nameTxn}`;
  const files = ['k', 'v'].map((ending) => `${column.name}.${ending}${suffix}`);
  // Versions that keep no index beside Parquet read the rows.
  if (!files.every((name) => names.includes(name))) return [];
  const paths = files.map((name) => `${folder}/${name}`);
  const before = paths.map((path) => timesOf(listing, {path, table}));
  const unchanged = () => {
    const after = paths.map((path) => timesOf(listing, {path, table}));
    const isSame = after.every((times, at) => sameTimes(times, before[at]!));
    if (!isSame || !before.every((times) => times !== undefined && listing.isSettled(times))) {
      throw rewritten(paths[0]!, table);
    }
  };
  unchanged();
  return paths.map((path, at) => {
    const file = listFile(listing, {path, table});
    if (file === undefined) throw missingFile(paths[at]!, table);
    return {...file, openEnded: false, check: unchanged};
  });
}

function timesOf({root}: Listing, {path, table}: RootFile): FileTimes | undefined {
  return lookAt(join(root, path), table, (source) => statSync(source, {bigint: true}));
}

function sameTimes(a: FileTimes | undefined, b: FileTimes | undefined): boolean {
  const of = (times: FileTimes | undefined) => [times?.ino, times?.size, times?.mtimeNs, times?.ctimeNs].join(' ');
  return of(a) === of(b);
}

function rewritten(path: string, table: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `${path} of table ${table} was written after the checkpoint was made`, {
    cause: 'late rows come into a partition in Parquet, whose index then is not that of the moment any more',
    next: 'take the backup again',
    context: {path, table},
    retryable: true,
  });
}
