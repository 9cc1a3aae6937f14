/** Columns become records. */
import {valueBytes} from '../record';
import {readVarint, varintEnd, varintSize, writeVarint} from '../varint';
import {
  before,
  columnBytes,
  columnTable,
  copyValue,
  differencesFlag,
  fixedBytes,
  gap,
  hasDifferences,
  isInteger,
  mostColumns,
  mostHeaderBytes,
  shortSize,
  types,
  typesEnd,
  unzigzag,
  values,
  valuesEnd,
  writeInteger,
} from './streams';

/** The serial types of one record, and the lengths of its values, with the flag of integers that are differences. */
const header: usize = memory.data(126 * 9 + 16, 16);
const lengths: usize = memory.data(126 * 4, 16);

/**
 * The input may be anything. Everything is checked before it is read or written: no byte outside of the input, of the
 * output, and of 16 bytes after each of them is touched.
 * @param input arranged records
 * @param outBytes the length of the records
 * @returns false if these are not arranged records of that length
 */
export function join(input: usize, inputBytes: u32, hasRowids: bool, out: usize, outBytes: u32): bool {
  if (inputBytes < fixedBytes) return false;
  const records = load<u32>(input);
  const columns = load<u32>(input, 4);
  const rowidBytes = load<u32>(input, 8);
  if (columns > mostColumns || inputBytes < fixedBytes + 8 * columns) return false;
  if (!hasRowids && rowidBytes != 0) return false;
  const counts = input + fixedBytes + 8 * columns;
  const fixedEnd: u64 = (fixedBytes as u64) + 8 * columns + (records as u64) + gap + (rowidBytes as u64) + gap;
  if (findStreams(input, columns, fixedEnd) != (inputBytes as u64)) return false;
  let rowids = counts + records + gap;
  const rowidsEnd = rowids + rowidBytes;
  const outEnd = out + outBytes;
  let rowid: i64 = 0;
  for (let record: u32 = 0; record < records; record++) {
    const count: u32 = load<u8>(counts + record);
    if (count > columns) return false;
    const end = columnTable + count * columnBytes;
    const valueSum = readTypes(end, outBytes);
    if (valueSum > (outBytes as u64)) return false;
    const headerBytes = ((headerEnd - header) as u32) + 1;
    if (headerBytes > mostHeaderBytes) return false;
    const payloadBytes = headerBytes + (valueSum as u32);
    let recordBytes = varintSize(payloadBytes) + payloadBytes;
    if (hasRowids) {
      if (rowids >= rowidsEnd) return false;
      rowid += unzigzag(readVarint(rowids));
      rowids = varintEnd;
      recordBytes += varintSize(rowid);
    }
    if (recordBytes > ((outEnd - out) as u32)) return false;
    out = writeVarint(out, payloadBytes);
    if (hasRowids) out = writeVarint(out, rowid);
    store<u8>(out, headerBytes);
    copyValue(out + 1, header, headerBytes - 1);
    out += headerBytes;
    let length = lengths;
    for (let column = columnTable; column < end; column += columnBytes, length += 4) {
      const bytes = load<u32>(length);
      const from: usize = load<u32>(column, values);
      const fromEnd: usize = load<u32>(column, valuesEnd);
      if (bytes < differencesFlag) {
        if ((bytes as usize) > fromEnd - from) return false;
        copyValue(out, from, bytes);
        store<u32>(column, (from + bytes) as u32, values);
        out += bytes;
      } else {
        const value = load<i64>(column, before) + unzigzag(readVarint(from));
        if (varintEnd > fromEnd) return false;
        store<u32>(column, varintEnd as u32, values);
        store<i64>(column, value, before);
        writeInteger(out, bytes ^ differencesFlag, value);
        out += bytes ^ differencesFlag;
      }
    }
  }
  return out == outEnd && rowids == rowidsEnd && areAllRead(columns);
}

/** Fills the table of columns. @returns where the last stream ends, counted from the input's beginning */
function findStreams(input: usize, columns: u32, from: u64): u64 {
  let at = from;
  for (let side: usize = types; side <= values; side += values - types) {
    for (let i: u32 = 0; i < columns; i++) {
      const length = load<u32>(input + fixedBytes + (side == types ? 0 : 4 * columns) + 4 * i);
      const differences = side == values ? length & differencesFlag : 0;
      const bytes = length ^ differences;
      const column = columnTable + i * columnBytes;
      // Wrong if it is beyond the input: then nothing is read from it.
      store<u32>(column + side, (input + (at as usize)) as u32);
      store<u32>(column + side, (input + (at as usize)) as u32 + bytes, typesEnd - types);
      store<u32>(column, differences, hasDifferences);
      store<i64>(column, 0, before);
      at += (bytes as u64) + gap;
    }
  }
  return at;
}

let headerEnd: usize = 0;

/**
 * Reads one serial type of each column up to `end`; the header is then in `header` up to `headerEnd`.
 * @returns the length of all values, or more than `most` if there is one that is not there or is longer
 */
// @ts-ignore: decorator
@inline
function readTypes(end: usize, most: u32): u64 {
  let typeTo = header;
  let sum: u64 = 0;
  let length = lengths;
  for (let column = columnTable; column < end; column += columnBytes, length += 4) {
    const at: usize = load<u32>(column);
    if ((at as u32) >= load<u32>(column, typesEnd)) return u64.MAX_VALUE;
    const type: u32 = load<u8>(at);
    let bytes: u32 = shortSize(type & 0x7f);
    if (type < 0x80) {
      store<u8>(typeTo, type);
      typeTo++;
      store<u32>(column, (at + 1) as u32);
    } else {
      const long = readVarint(at);
      store<u32>(column, varintEnd as u32);
      typeTo = writeVarint(typeTo, long);
      if (valueBytes(long) > (most as u64)) return u64.MAX_VALUE;
      bytes = valueBytes(long) as u32;
    }
    store<u32>(length, isInteger(type) ? bytes | load<u32>(column, hasDifferences) : bytes);
    sum += bytes;
  }
  headerEnd = typeTo;
  return sum;
}

function areAllRead(columns: u32): bool {
  for (let i: u32 = 0; i < columns; i++) {
    const column = columnTable + i * columnBytes;
    if (load<u32>(column) != load<u32>(column, typesEnd)) return false;
    if (load<u32>(column, values) != load<u32>(column, valuesEnd)) return false;
  }
  return true;
}
