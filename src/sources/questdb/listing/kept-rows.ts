import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {readFully} from '../../../lib/files.ts';
import {readControlFile} from '../format/bytes.ts';
import type {TableMeta} from '../format/meta.ts';
import {isPart, partitionFolder} from '../format/partition-name.ts';
import type {TableState} from '../format/table.ts';
import {decodeTxn, type Partition, type TableTxn} from '../format/txn.ts';
import type {QuestDbHttp} from '../server/http.ts';
import {type Listing, missingFile, openFile, timesOf} from './list-file.ts';
import {columnPath} from './partition-files.ts';
import {Turns} from './turns.ts';

/** The server's default of `cairo.o3.partition.split.min.size`. */
const defaultSplitBytes = 50 * 1024 * 1024;
/** What the server counts for a value of variable length. */
const variableBytes = 28;
/** A commit writes `_txn` within microseconds. */
const txnTries = 100;
const readRows = 128 * 1024;

/**
 * Checks, after all files were read, that the server has not overwritten rows of the checkpoint. It does so in one case
 * (measured on 9.3.4, also for rows that a query is reading): late rows split a large partition, so that its first part
 * has fewer rows in the same files; and rows with the same timestamp as the last of these are then appended to that
 * part, over rows that the checkpoint counts.
 * @param options.recordsWrites see `recordsMappedWrites`
 * @throws BkpError `SOURCE_UNAVAILABLE`, retryable, when that may have happened
 */
export async function requireKeptRows(
  listing: Listing,
  tables: readonly TableState[],
  {http, recordsWrites}: {http: QuestDbHttp; recordsWrites: boolean},
): Promise<void> {
  let splitBytes: number | undefined;
  const turns = new Turns();
  for (const table of tables) {
    await turns.next();
    for (const {partition, current} of await changedPartitions(listing, table)) {
      splitBytes ??= await leastSplitBytes(http);
      const leastRows = Math.floor(splitBytes / recordBytes(table.meta));
      if (partition.rows <= leastRows) continue;
      const path = timestampsPath(table, partition);
      const times = timesOf(listing, {path, table: table.name});
      if (recordsWrites && times !== undefined && listing.isSettled(times)) continue;
      const from = Math.max(0, (current?.rows ?? leastRows) - 2);
      if (await hasEqualNeighbours(listing, {path, table: table.name}, {from, to: partition.rows})) {
        throw overwritten(table, partition);
      }
    }
  }
}

/** Partitions of the checkpoint that were split or rewritten since, with their current state if they still exist. */
async function changedPartitions(
  listing: Listing,
  table: TableState,
): Promise<{partition: Partition; current: Partition | undefined}[]> {
  if (table.txn.partitions.length === 0) return [];
  const txn = await currentTxn(join(listing.root, 'db', table.folder, '_txn'));
  if (txn === undefined || txn.transaction === table.txn.transaction) return [];
  const known = new Set(table.txn.partitions.map(({timestamp}) => timestamp));
  const parts = txn.partitions.filter(({timestamp}) => !known.has(timestamp) && isPart(table.meta, timestamp));
  return table.txn.partitions.flatMap((partition, at, all) => {
    if (partition.rows === 0 || partition.parquetBytes !== undefined) return [];
    const current = txn.partitions.find(
      ({timestamp, nameTxn}) => timestamp === partition.timestamp && nameTxn === partition.nameTxn,
    );
    const end = all[at + 1]?.timestamp;
    const isSplit = parts.some(
      ({timestamp}) => timestamp > partition.timestamp && (end === undefined || timestamp < end),
    );
    const isWhole = current !== undefined && current.rows >= partition.rows && !isSplit;
    return isWhole ? [] : [{partition, current}];
  });
}

/** @returns undefined when the table was dropped */
async function currentTxn(path: string): Promise<TableTxn | undefined> {
  const turns = new Turns();
  for (let left = txnTries; ; left--) {
    const file = readControlFile(path);
    if (file === undefined) return undefined;
    try {
      const txn = decodeTxn(file);
      // The server writes the record that is not valid, and then the version that makes it valid.
      if (readControlFile(path)?.int64(0) === file.int64(0)) return txn;
    } catch (error) {
      if (left === 0) throw error;
    }
    if (left <= 0) throw file.unknown('it changes all the time');
    await turns.next();
  }
}

async function leastSplitBytes(http: QuestDbHttp): Promise<number> {
  const [row] = await http.rows("(SHOW PARAMETERS) WHERE property_path = 'cairo.o3.partition.split.min.size'");
  const bytes = Number(row?.value);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : defaultSplitBytes;
}

/** The server's estimate of a row; dropped columns do not count, as they do not count there. */
function recordBytes({columns}: TableMeta): number {
  return columns.reduce((sum, {shape}) => sum + (shape.kind === 'fixed' ? shape.widthBytes : variableBytes), 0);
}

function timestampsPath(table: TableState, partition: Partition): string {
  const column = table.meta.columns.find(({index}) => index === table.meta.timestampIndex);
  const place = column && table.columns.place(partition.timestamp, column.index);
  const folder = `db/${table.folder}/${partitionFolder(table.meta, partition)}`;
  if (column === undefined || place === undefined) throw missingFile(`${folder}/timestamp`, table.name);
  return columnPath(folder, column, place, 'd');
}

/** Whether two of these rows that follow each other have the same timestamp, as overwritten ones do. */
async function hasEqualNeighbours(
  listing: Listing,
  source: {path: string; table: string},
  {from, to}: {from: number; to: number},
): Promise<boolean> {
  const file = await openFile(listing, source);
  if (file === undefined) throw missingFile(source.path, source.table);
  try {
    let before: bigint | undefined;
    for (let row = from; row < to; ) {
      const bytes = Buffer.alloc(Math.min(readRows, to - row) * 8);
      if ((await readFully(file.fd, bytes, row * 8)) < bytes.length) throw missingFile(source.path, source.table);
      for (let at = 0; at < bytes.length; at += 8, row++) {
        const timestamp = bytes.readBigInt64LE(at);
        if (timestamp === before) return true;
        before = timestamp;
      }
    }
    return false;
  } finally {
    await file.close();
  }
}

function overwritten(table: TableState, partition: Partition): BkpError {
  const folder = partitionFolder(table.meta, partition);
  return new BkpError(
    'SOURCE_UNAVAILABLE',
    `rows of partition ${folder} of table ${table.name} may have been overwritten while they were copied`,
    {
      cause:
        'late rows split the partition; the server then writes rows with the timestamp of the last row before the ' +
        'split over rows of the checkpoint',
      next: 'take the backup again',
      context: {table: table.name},
      retryable: true,
    },
  );
}
