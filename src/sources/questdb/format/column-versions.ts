import type {ControlFile} from './bytes.ts';

/** The files of a column in one partition. */
export type ColumnPlace = {
  /** Suffix of the file name; -1 for no suffix. */
  nameTxn: bigint;
  /** Rows at the start of the partition that the file has no values for: the column was added after them. */
  top: number;
};

/** Records with these timestamps describe the column, not a partition. */
const ofColumn = -(1n << 63n);
const ofSymbols = ofColumn + 1n;

const headerBytes = 40;
const recordBytes = 32;

/** The content of `_cv`; a table to which no column was added and in which none was updated has no records. */
export class ColumnVersions {
  readonly #records = new Map<string, {nameTxn: bigint; value: bigint}>();

  /**
   * int64 version; offset and length of the records for an even version, then for an odd one. A record is partition
   * (or `Long.MIN_VALUE`: for all partitions without a record), column, name suffix, top (or the first partition that
   * has it). Source: QuestDB's ColumnVersionReader; compared with what 9.3.4 writes.
   * @throws BkpError `SOURCE_DAMAGED`
   */
  constructor(file?: ControlFile) {
    if (file === undefined) return;
    const header = file.int64(0) % 2n === 0n ? 8 : 24;
    const start = file.count(header);
    const bytes = file.count(header + 8);
    if (bytes % recordBytes !== 0 || (bytes > 0 && start < headerBytes))
      throw file.unknown(`${bytes} bytes at ${start}`);
    for (let at = start; at < start + bytes; at += recordBytes) {
      const record = {nameTxn: file.int64(at + 16), value: file.int64(at + 24)};
      this.#records.set(`${file.int64(at)} ${file.int64(at + 8)}`, record);
    }
  }

  /** @returns undefined when the column has no file in this partition */
  place(partition: bigint, column: number): ColumnPlace | undefined {
    const own = this.#records.get(`${partition} ${column}`);
    if (own !== undefined) return {nameTxn: own.nameTxn, top: Number(own.value)};
    const added = this.#records.get(`${ofColumn} ${column}`);
    if (added === undefined) return {nameTxn: -1n, top: 0};
    return added.value <= partition ? {nameTxn: added.nameTxn, top: 0} : undefined;
  }

  /** Suffix of the files that contain the texts of a symbol column; -1 for no suffix. */
  symbolsNameTxn(column: number): bigint {
    return (this.#records.get(`${ofSymbols} ${column}`) ?? this.#records.get(`${ofColumn} ${column}`))?.nameTxn ?? -1n;
  }
}
