/** Checks of a chunk. Code that walks through its records afterwards need not check a length again. */
import {isRecord} from '../record';
import {readVarint, varintEnd} from '../varint';

/** Of the last {@link checkRecords} that found no fault. */
export let checkedRecords: u32 = 0;
/** Its last record. */
export let lastRecordAt: usize = 0;
/** The record before the last one; 0 if there is none. */
export let recordBeforeLastAt: usize = 0;
export let firstRowid: i64 = 0;
export let lastRowid: i64 = 0;

/** What {@link checkRecords} returns. */
export const noFault: u32 = 0;
/** A record continues beyond the end of the chunk. */
export const cutShort: u32 = 1;
/** Its header and its values are not as long as its payload. */
export const notARecord: u32 = 2;
/** A rowid is not above the one before. */
export const outOfOrder: u32 = 3;
/**
 * A payload's length has more bytes than it needs. SQLite reads only seven bits of the ninth byte there, and so another
 * length (`btreeParseCellPtr` in its src/btree.c).
 */
export const notMinimal: u32 = 4;

/**
 * Memory continues at least 32 bytes beyond `end`.
 * @param at records, each `varint payload bytes, [varint rowid,] payload`
 * @param isTable with a rowid
 */
export function checkRecords(at: usize, end: usize, isTable: bool): u32 {
  let records: u32 = 0;
  let last: usize = 0;
  let beforeLast: usize = 0;
  let record = at;
  while (record < end) {
    const payloadBytes = readVarint(record);
    let payload = varintEnd;
    if (isTable) {
      const rowid = readVarint(payload) as i64;
      payload = varintEnd;
      if (records == 0) firstRowid = rowid;
      else if (rowid <= lastRowid) return outOfOrder;
      lastRowid = rowid;
    }
    if (load<u8>(record) == 0x80) return notMinimal;
    if (payload > end || payloadBytes > ((end - payload) as u64)) return cutShort;
    if (!isRecord(payload, payloadBytes as u32)) return notARecord;
    beforeLast = last;
    last = record;
    record = payload + (payloadBytes as usize);
    records++;
  }
  checkedRecords = records;
  lastRecordAt = last;
  recordBeforeLastAt = beforeLast;
  return noFault;
}
