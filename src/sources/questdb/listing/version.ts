import {readSync} from 'node:fs';
import type {TableState} from '../format/table.ts';
import type {Partition} from '../format/txn.ts';
import {type Listing, type RootFile, withFile} from './list-file.ts';

/*
 * The server changes files that it has mapped, and a page fault that takes long may hide a change from the file's
 * times (docs/questdb.md, "Why skipping a file is safe"). So a file of a running server gets a stamp only if its valid
 * bytes are never overwritten as long as its version is the same.
 */

/**
 * The version of rows. Rows are appended, and rewritten under another path, with two exceptions: TRUNCATE empties
 * files, and parts that were split off a partition are joined to it again in its own files.
 */
export function rowsVersion({txn}: TableState, {squashes, parquetBytes}: Partition): string {
  return ['r', txn.truncations, squashes, ...(parquetBytes === undefined ? [] : [parquetBytes])].join('-');
}

/** `.o`: int32 capacity, flags whether texts are cached (4) and whether there are NULLs (8); the offsets from 64 on. */
const headerBytes = 64;

/**
 * The version of a symbol column's texts: their number, because a rollback removes the newest ones, and the header of
 * `.o`, which changes in place.
 * @returns undefined when `_txn` has another number of symbol columns than `_meta`
 */
export function textsVersion(
  listing: Listing,
  {txn}: TableState,
  {symbol, of, offsets}: {symbol: number; of: number; offsets: RootFile},
): string | undefined {
  if (txn.symbolCounts.length !== of) return undefined;
  const header = withFile(listing, offsets, (file) => {
    const buffer = Buffer.alloc(headerBytes);
    return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, 0));
  });
  if (header === undefined) return undefined;
  return ['t', txn.truncations, txn.symbolCounts[symbol], header.toString('hex').replace(/(00)+$/, '')].join('-');
}
