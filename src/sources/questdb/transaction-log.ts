import type {ControlFile} from './bytes.ts';

const headerBytes = 76;
const recordBytes = 28;

/**
 * The folders below a table's (`wal3/0`) with transactions `after` < n <= `last`.
 * `txn_seq/_txnlog`: int32 version (0), int64 last transaction; from 76 on 28 bytes a transaction, of which int32 at 8 is
 * the writer's number (negative: a change of the table's structure, which lies in `txn_seq` itself) and int32 at 12 the
 * segment's. Source: QuestDB's TableTransactionLogV1; compared with what 9.3.4 writes.
 * @returns undefined for a log of another version, which is cut into parts: then all folders are to be taken
 * @throws BkpError `SOURCE_DAMAGED`
 */
export function neededSegments(file: ControlFile, range: {after: number; last: number}): Set<string> | undefined {
  if (file.int32(0) !== 0) return undefined;
  const held = file.count(4);
  if (held < range.last) throw file.unknown(`it ends with transaction ${held}, and ${range.last} was committed`);
  const segments = new Set<string>();
  for (let txn = range.after + 1; txn <= range.last; txn++) {
    const at = headerBytes + (txn - 1) * recordBytes;
    const writer = file.int32(at + 8);
    if (writer > 0) segments.add(`wal${writer}/${file.int32(at + 12)}`);
  }
  return segments;
}

export const lastTransaction = (file: ControlFile) => file.count(4);
