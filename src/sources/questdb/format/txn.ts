import type {ControlFile} from './bytes.ts';

export type Partition = {
  /** Since 1970, in the unit of the table's timestamp: microseconds or nanoseconds; 0 in a table without partitions. */
  timestamp: bigint;
  rows: number;
  /** Suffix of the folder name; -1 for no suffix. */
  nameTxn: bigint;
  /** How often parts that were split off were joined to the partition again, which overwrites rows in its files. */
  squashes: number;
  /** The partition is one Parquet file of this many bytes. */
  parquetBytes?: number;
};

/** The content of a table's `_txn`: its committed state. */
export type TableTxn = {
  transaction: bigint;
  rows: number;
  /** The last transaction of the sequencer that is applied to the table's own files; 0 in a table without WAL. */
  sequencerTxn: number;
  /** How often the table was truncated, which may empty files that are then filled again. */
  truncations: bigint;
  /** Texts of each symbol column, in the order of the columns. */
  symbolCounts: readonly number[];
  partitions: readonly Partition[];
};

const entryBytes = 32;
const symbolEntryBytes = 8;
const rowsMask = (1n << 44n) - 1n;
const squashesAt = 44n;
const squashesMask = 0xffffn;
const parquetBit = 1n << 61n;

/**
 * Decodes `_txn`. It contains two records, and the lowest bit of the version selects the valid one. First the
 * version, then at 8 (even) or 32 (odd) int32 offset, length of symbol counts, length of partitions. The record:
 * transaction, rows of the last partition, rows of all others, smallest and largest timestamp, versions of structure,
 * data, partition table, columns and truncation, sequencer transaction (int64 each); at 128 int32 number of symbol
 * counts, 8 bytes each, of which the first 4 are the committed count; then int32 length of partitions and for each of
 * them timestamp, flags and rows, name suffix, Parquet file size (int64 each). Source: measured on QuestDB 9.3.4; the
 * flags are those of its TxReader.
 * @throws BkpError `SOURCE_DAMAGED`
 */
export function decodeTxn(file: ControlFile): TableTxn {
  const header = file.int64(0) % 2n === 0n ? 8 : 32;
  const record = file.int32(header);
  const symbolBytes = file.int32(header + 4);
  const partitionBytes = file.int32(header + 8);
  const isWhole = symbolBytes % symbolEntryBytes === 0 && partitionBytes % entryBytes === 0;
  if (symbolBytes < 0 || partitionBytes < 0 || !isWhole) {
    throw file.unknown(`${symbolBytes} bytes of symbol counts and ${partitionBytes} of partitions`);
  }
  const lastRows = file.count(record + 8);
  const otherRows = file.count(record + 16);
  const first = record + 128 + 4 + symbolBytes + 4;
  const partitions: Partition[] = [];
  for (let at = first; at < first + partitionBytes; at += entryBytes) {
    const flagsAndRows = file.int64(at + 8);
    partitions.push({
      timestamp: file.int64(at),
      rows: Number(flagsAndRows & rowsMask),
      nameTxn: file.int64(at + 16),
      squashes: Number((flagsAndRows >> squashesAt) & squashesMask),
      ...((flagsAndRows & parquetBit) === 0n ? {} : {parquetBytes: Number(file.int64(at + 24))}),
    });
  }
  // A commit into the last partition updates its row count only in the record.
  const last = partitions.at(-1);
  if (last !== undefined) last.rows = lastRows;
  const inPartitions = partitions.reduce((sum, {rows}) => sum + rows, 0);
  if (inPartitions !== lastRows + otherRows) {
    throw file.unknown(`its partitions have ${inPartitions} rows, but the table has ${lastRows + otherRows}`);
  }
  return {
    transaction: file.int64(record),
    rows: lastRows + otherRows,
    sequencerTxn: file.count(record + 80),
    truncations: file.int64(record + 72),
    symbolCounts: Array.from({length: symbolBytes / symbolEntryBytes}, (_, index) =>
      file.int32(record + 128 + 4 + index * symbolEntryBytes),
    ),
    partitions,
  };
}
