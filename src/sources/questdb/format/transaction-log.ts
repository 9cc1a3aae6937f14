import {join} from 'node:path';
import {type ControlFile, readControlFile} from './bytes.ts';

const headerBytes = 76;
/** Bytes of a transaction, by the version of the log. */
const recordBytes = [28, 60] as const;
const partsFolder = '_txn_parts';

/** The log of a table's sequencer: where in the WAL each transaction is. */
export type TransactionLog = {
  /** The last committed transaction. */
  last: number;
  /** Length of the log file up to and including a transaction. */
  bytesUpTo: (txn: number) => number;
  /**
   * Folders below the table's folder (`wal3/0`) that contain transactions `after` < n <= `last`, each with the number
   * of the newest of these in its segment. A segment numbers its transactions from 0.
   */
  segments: (range: {after: number; last: number}) => Map<string, number>;
};

/** Position of the number of the last transaction, int64. */
export const lastTransactionAt = 4;

/**
 * `txn_seq/_txnlog`: int32 version, int64 last transaction; at 20 int32 the number of transactions in one file of
 * `_txn_parts` (version 1). A transaction: int32 at 8 is the writer's number (negative: a change of the table's
 * structure, stored in `txn_seq` itself), int32 at 12 the segment's, int32 at 16 the transaction's number in the
 * segment. Version 0 has them in the log itself from 76 on, version 1 in `_txn_parts/0`, `1`, … Source: QuestDB's
 * TableTransactionLogV1 and V2; compared with what 9.3.4 writes.
 * @param folder the sequencer's, absolute
 * @returns undefined when there is no log
 * @throws BkpError `SOURCE_DAMAGED`
 */
export function readTransactionLog(folder: string): TransactionLog | undefined {
  const file = readControlFile(join(folder, '_txnlog'));
  if (file === undefined) return undefined;
  const version = file.int32(0);
  const width = recordBytes[version];
  if (width === undefined) throw file.unknown(`version ${version}`);
  const held = file.count(lastTransactionAt);
  const inPart = version === 0 ? Number.POSITIVE_INFINITY : file.int32(20);
  if (!(inPart > 0)) throw file.unknown(`${inPart} transactions in a part`);
  return {
    last: held,
    bytesUpTo: (txn) => headerBytes + (version === 0 ? txn * width : 0),
    segments: ({after, last}) => {
      if (held < last) throw file.unknown(`it ends with transaction ${held}, but ${last} was committed`);
      const segments = new Map<string, number>();
      let part: {number: number; file: ControlFile} | undefined;
      for (let txn = after + 1; txn <= last; txn++) {
        const number = version === 0 ? 0 : Math.floor((txn - 1) / inPart);
        if (part?.number !== number) part = {number, file: version === 0 ? file : readPart(folder, number, file)};
        const at = (version === 0 ? headerBytes + (txn - 1) * width : ((txn - 1) % inPart) * width) + 8;
        const writer = part.file.int32(at);
        if (writer > 0) segments.set(`wal${writer}/${part.file.int32(at + 4)}`, part.file.int32(at + 8));
      }
      return segments;
    },
  };
}

function readPart(folder: string, number: number, log: ControlFile): ControlFile {
  const part = readControlFile(join(folder, partsFolder, String(number)));
  if (part === undefined) throw log.unknown(`part ${number} of it is missing`);
  return part;
}
