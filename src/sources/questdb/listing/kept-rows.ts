import {dirname, join} from 'node:path';
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

type PartitionOf = {table: TableState; partition: Partition};

/**
 * Whether the server has overwritten rows of the checkpoint before they were read. It does so in one case (measured on
 * 9.3.4, also for rows that a query is reading): late rows split a large partition, so that its first part has fewer
 * rows in the same files; and rows with the same timestamp as the last of these are then appended to that part, over
 * rows that the checkpoint counts. `_txn` shows the split before anything is overwritten.
 */
export class KeptRows {
  readonly #listing: Listing;
  readonly #leastSplitBytes: number;
  readonly #recordsWrites: boolean;
  /** Partitions that are large enough to be split, by their folders. */
  readonly #large = new Map<string, PartitionOf>();
  /** Those of which a file was read when they may have been split already. */
  readonly #doubtful = new Set<PartitionOf>();
  /** What the tables' newest `_txn` said. */
  readonly #seen = new Map<TableState, {version: bigint; changed: ReadonlySet<Partition>}>();

  /**
   * @param options.leastSplitBytes see {@link leastSplitBytes}
   * @param options.recordsWrites see `recordsMappedWrites`
   */
  constructor(
    listing: Listing,
    tables: readonly TableState[],
    options: {leastSplitBytes: number; recordsWrites: boolean},
  ) {
    this.#listing = listing;
    this.#leastSplitBytes = options.leastSplitBytes;
    this.#recordsWrites = options.recordsWrites;
    for (const table of tables) {
      if (table.meta.timestampIndex === -1) continue;
      for (const partition of table.txn.partitions) {
        if (partition.parquetBytes !== undefined || partition.rows <= this.#leastRows(table)) continue;
        this.#large.set(`db/${table.folder}/${partitionFolder(table.meta, partition)}`, {table, partition});
      }
    }
  }

  /** To be called when all bytes of a file were read. @param path below the root */
  wasRead(path: string): void {
    const found = this.#large.get(dirname(path));
    if (found === undefined || this.#doubtful.has(found) || this.#isAsBefore(found)) return;
    if (this.#isChanged(found)) this.#doubtful.add(found);
  }

  /**
   * To be called after all files were read.
   * @throws BkpError `SOURCE_UNAVAILABLE`, retryable, when rows that were read may have been overwritten before
   */
  async require(): Promise<void> {
    for (const {table, partition} of this.#doubtful) {
      const txn = await currentTxn(this.#txnPath(table));
      if (txn === undefined) continue;
      const path = timestampsPath(table, partition);
      const rows = sameIn(txn, partition)?.rows ?? partition.rows;
      const from = Math.max(0, (rows < partition.rows ? rows : this.#leastRows(table)) - 2);
      if (await hasEqualNeighbours(this.#listing, {path, table: table.name}, {from, to: partition.rows})) {
        throw overwritten(table, partition);
      }
    }
  }

  /** Nothing was written to its timestamps since the checkpoint: true of most partitions, and cheap to see. */
  #isAsBefore({table, partition}: PartitionOf): boolean {
    if (!this.#recordsWrites) return false;
    const times = timesOf(this.#listing, {path: timestampsPath(table, partition), table: table.name});
    return times !== undefined && this.#listing.isSettled(times);
  }

  #isChanged({table, partition}: PartitionOf): boolean {
    const path = this.#txnPath(table);
    const version = versionOf(path);
    if (version === undefined) return false;
    let seen = this.#seen.get(table);
    if (seen?.version !== version) {
      try {
        const txn = readTxn(path);
        seen = {version, changed: txn === undefined ? new Set() : changedPartitions(table, txn)};
      } catch {
        // It is being written. `require` reads it again.
        return true;
      }
      this.#seen.set(table, seen);
    }
    return seen.changed.has(partition);
  }

  #txnPath({folder}: TableState): string {
    return join(this.#listing.root, 'db', folder, '_txn');
  }

  #leastRows({meta}: TableState): number {
    return Math.floor(this.#leastSplitBytes / recordBytes(meta));
  }
}

/** Partitions of the checkpoint that were split or rewritten since. */
function changedPartitions(table: TableState, txn: TableTxn): ReadonlySet<Partition> {
  if (txn.transaction === table.txn.transaction) return new Set();
  const now = new Map(txn.partitions.map((partition) => [partition.timestamp, partition]));
  const known = new Set(table.txn.partitions.map(({timestamp}) => timestamp));
  const parts = txn.partitions.filter(({timestamp}) => !known.has(timestamp) && isPart(table.meta, timestamp));
  return new Set(
    table.txn.partitions.filter((partition, at, all) => {
      const current = now.get(partition.timestamp);
      const end = all[at + 1]?.timestamp;
      const isSplit = parts.some(
        ({timestamp}) => timestamp > partition.timestamp && (end === undefined || timestamp < end),
      );
      return isSplit || current?.nameTxn !== partition.nameTxn || current.rows < partition.rows;
    }),
  );
}

const sameIn = (txn: TableTxn, {timestamp, nameTxn}: Partition): Partition | undefined =>
  txn.partitions.find((one) => one.timestamp === timestamp && one.nameTxn === nameTxn);

/** @returns undefined when the table was dropped */
async function currentTxn(path: string): Promise<TableTxn | undefined> {
  const turns = new Turns();
  for (let left = txnTries; ; left--) {
    try {
      return readTxn(path);
    } catch (error) {
      if (left === 0) throw error;
    }
    await turns.next();
  }
}

/**
 * @returns undefined when the table was dropped
 * @throws BkpError `SOURCE_DAMAGED`, also while it is being written
 */
function readTxn(path: string): TableTxn | undefined {
  const file = readControlFile(path);
  if (file === undefined) return undefined;
  const txn = decodeTxn(file);
  // The server writes the record that is not valid, and then the version that makes it valid.
  if (versionOf(path) !== file.int64(0)) throw file.unknown('it changes all the time');
  return txn;
}

/** @returns undefined when the table was dropped */
const versionOf = (path: string) => readControlFile(path)?.int64(0);

/** From how many bytes on the server splits a partition. */
export async function leastSplitBytes(http: QuestDbHttp): Promise<number> {
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
