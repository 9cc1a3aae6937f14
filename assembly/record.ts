/**
 * SQLite's record format (https://www.sqlite.org/fileformat2.html#record_format) and how much of a record a page holds.
 */
import {readVarint, varintEnd} from './varint';

/** Bytes of a value by its serial type, for the types below 12; 10 and 11 are reserved, and never occur. */
const fixedSizes: usize = memory.data<u8>([0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0]);

/** Bytes of a value with a serial type that fits one byte. */
// @ts-ignore: decorator
@inline
export function smallValueBytes(type: u32): u32 {
  return type >= 12 ? (type - 12) >> 1 : (load<u8>(fixedSizes + type) as u32);
}

/** Bytes of a value with any serial type. */
// @ts-ignore: decorator
@inline
export function valueBytes(type: u64): u64 {
  return type >= 12 ? (type - 12) >> 1 : (load<u8>(fixedSizes + (type as usize)) as u64);
}

/** Larger records are not handled here: their tables are taken row by row. */
export const mostRecordBytes: u64 = 0x7fffffff;

/** Whether a record is consistent: its header and its values together are as long as `payloadBytes`. */
export function isRecord(at: usize, payloadBytes: u32): bool {
  if (payloadBytes == 0) return false;
  const headerBytes = readVarint(at);
  if (headerBytes > (payloadBytes as u64)) return false;
  const valuesAt = at + (headerBytes as usize);
  let bytes = headerBytes;
  let typeAt = varintEnd;
  let hasReserved: bool = false;
  while (typeAt < valuesAt) {
    const small: u32 = load<u8>(typeAt);
    if (small < 0x80) {
      // Without branches, which a processor cannot predict among mixed types. The load beyond the sizes is not used.
      bytes += select<u32>((small - 12) >> 1, load<u8>(fixedSizes + small) as u32, small >= 12) as u64;
      hasReserved = hasReserved | (small >> 1 == 5);
      typeAt++;
      continue;
    }
    const type = readVarint(typeAt);
    typeAt = varintEnd;
    if (type == 10 || type == 11 || type > 2 * mostRecordBytes + 13) return false;
    bytes += valueBytes(type);
  }
  return typeAt == valuesAt && bytes == (payloadBytes as u64) && !hasReserved;
}

/**
 * Bytes of a payload that are in its cell; the rest is in overflow pages
 * (https://www.sqlite.org/fileformat2.html#cell_payload_overflow_pages).
 * @param usableBytes of a page, without its reserved bytes
 * @param isTable a leaf of a rowid table; else a page of an index or of a table WITHOUT ROWID
 */
// @ts-ignore: decorator
@inline
export function localBytes(payloadBytes: u64, usableBytes: u32, isTable: bool): u32 {
  const most: u32 = isTable ? usableBytes - 35 : ((usableBytes - 12) * 64) / 255 - 23;
  if (payloadBytes <= (most as u64)) return payloadBytes as u32;
  const least: u32 = ((usableBytes - 12) * 32) / 255 - 23;
  const fitting: u32 = least + (((payloadBytes - least) % (usableBytes - 4)) as u32);
  return fitting <= most ? fitting : least;
}
