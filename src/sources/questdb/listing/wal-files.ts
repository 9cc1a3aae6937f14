import {readSync} from 'node:fs';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import type {TableState} from '../format/table.ts';
import {lastTransactionAt, readTransactionLog} from '../format/transaction-log.ts';
import {type Listing, listFile, listFolder, missingFile, withFile} from './list-file.ts';
import type {ListedFile} from './listed-file.ts';

/** `_event`: int32 number of the last transaction, int32 version; then the transactions, and int32 -1. */
const eventHeaderBytes = 8;
const endMark = Buffer.alloc(4, 0xff);

/**
 * The sequencer's files, and the WAL segments of the transactions that are committed but not applied to the table
 * yet.
 *
 * These files only grow, and a committed transaction does not change, so its bytes stay where they are for as long as
 * the checkpoint keeps the WAL. Only `_txnlog`, and `_event` with `_event.i`, record where they end. They are
 * truncated after the last transaction of the backup, and the recorded end is changed to match.
 */
export function listLog(listing: Listing, table: TableState): ListedFile[] {
  if (table.lastTxn === undefined) return [];
  const folder = `db/${table.folder}`;
  const logPath = `${folder}/txn_seq/_txnlog`;
  const log = readTransactionLog(join(listing.root, folder, 'txn_seq'));
  const range = {after: table.txn.sequencerTxn, last: table.lastTxn};
  // A view has no log.
  if (log === undefined && range.last > range.after) throw missingFile(logPath, table.name);
  const files = listTree(listing, table, `${folder}/txn_seq`).filter(({path}) => path !== logPath);
  if (log === undefined) return files;
  files.push(listTransactionLog(listing, table, {path: logPath, validBytes: log.bytesUpTo(range.last)}));
  const segments = log.segments(range);
  for (const [segment, newest] of segments) files.push(...listSegment(listing, table, segment, newest));
  // The texts of a writer's symbols are next to its segments.
  for (const writer of new Set([...segments.keys()].map((segment) => segment.split('/')[0]!))) {
    files.push(...listFolder(listing, `${folder}/${writer}`, table.name).files);
  }
  return files;
}

function listTransactionLog(
  listing: Listing,
  table: TableState,
  {path, validBytes}: {path: string; validBytes: number},
): ListedFile {
  const last = Buffer.alloc(8);
  last.writeBigInt64LE(BigInt(table.lastTxn!));
  const patches = [{at: lastTransactionAt, bytes: last}];
  const found = listFile(listing, {path, table: table.name, validBytes, patches});
  if (found === undefined) throw missingFile(path, table.name);
  return found;
}

/** @param newest number in the segment of its last transaction that belongs to the backup */
function listSegment(listing: Listing, table: TableState, segment: string, newest: number): ListedFile[] {
  const folder = `db/${table.folder}/${segment}`;
  const events = {path: `${folder}/_event`, table: table.name};
  const positions = {path: `${folder}/_event.i`, table: table.name};
  const end = endOfTransaction(listing, positions, newest);
  const header = Buffer.alloc(4);
  header.writeInt32LE(newest);
  const patches = [
    {at: 0, bytes: header},
    {at: end, bytes: endMark},
  ];
  const needed = [
    listFile(listing, {...events, validBytes: end + endMark.length, patches}),
    listFile(listing, {...positions, validBytes: positionOfEnd(newest) + 8}),
  ];
  const files = needed.map((found, at) => {
    if (found === undefined) throw missingFile([events, positions][at]!.path, table.name);
    return found;
  });
  const others = listTree(listing, table, folder);
  return [...files, ...others.filter(({path}) => path !== events.path && path !== positions.path)];
}

/** `_event.i` has the position of each transaction in `_event`, int64, and then the end of the last one. */
const positionOfEnd = (transaction: number) => (transaction + 1) * 8;

function endOfTransaction(listing: Listing, positions: {path: string; table: string}, transaction: number): number {
  const buffer = Buffer.alloc(8);
  const bytesRead = withFile(listing, positions, (file) =>
    readSync(file, buffer, 0, buffer.length, positionOfEnd(transaction)),
  );
  if (bytesRead === undefined) throw missingFile(positions.path, positions.table);
  const end = Number(buffer.readBigInt64LE());
  if (bytesRead === buffer.length && end > eventHeaderBytes && Number.isSafeInteger(end)) return end;
  throw new BkpError(
    'SOURCE_DAMAGED',
    `${positions.path} of table ${positions.table} lacks transaction ${transaction}`,
    {
      cause: 'it was acknowledged but is not applied to the table yet',
      next: 'check the table in the server: SELECT * FROM wal_tables()',
      context: positions,
    },
  );
}

export function listTree(listing: Listing, table: TableState, folder: string): ListedFile[] {
  const {files, folders} = listFolder(listing, folder, table.name);
  for (const inner of folders) files.push(...listTree(listing, table, inner));
  return files;
}

/** The number of the last transaction of a table; undefined for a table without WAL. */
export function lastTransaction(tableFolder: string): number | undefined {
  return readTransactionLog(join(tableFolder, 'txn_seq'))?.last;
}
