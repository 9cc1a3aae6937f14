/** Columns become records. */
import {readMixedVarint, varintEnd, varintSize, writeVarint} from '../varint';
import {blockSize} from './blocks';
import {beginBlock, extraTypeBytes, headAts, readTypes} from './join-types';
import {uniformSum, valueAts, valueSums, writeTypes} from './join-types';
import {writeValues} from './join-values';
import {
  before,
  columnBytes,
  columnTable,
  differencesFlag,
  fixedBytes,
  gap,
  hasDifferences,
  mostColumns,
  types,
  typesEnd,
  unzigzag,
  values,
  valuesEnd,
} from './streams';

let rowids: usize = 0;
let rowid: i64 = 0;

/**
 * The input may be anything. Everything is checked before it is read or written: no byte outside of the input, of the
 * output, and of 16 bytes after the output is touched.
 *
 * Blocks of records are joined column by column. What a column needs stays in registers then, and many columns of a
 * block have one serial type.
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
  rowids = counts + records + gap;
  rowid = 0;
  const rowidsEnd = rowids + rowidBytes;
  const outEnd = out + outBytes;
  for (let record: u32 = 0; record < records; ) {
    const size = blockSize(counts + record, records - record);
    const count: u32 = load<u8>(counts + record);
    if (count > columns) return false;
    beginBlock();
    for (let c: u32 = 0; c < count; c++) if (!readTypes(c, count, size, outBytes)) return false;
    out = writeHeads(count, size, hasRowids, rowidsEnd, out, outEnd);
    if (out == 0) return false;
    writeTypes(count, size);
    for (let c: u32 = 0; c < count; c++) if (!writeValues(c, size)) return false;
    record += size;
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

/**
 * Writes the lengths and rowids of a block of records, and leaves room for their types and values.
 * @returns where they end; 0 if they would not have room
 */
function writeHeads(count: u32, size: u32, hasRowids: bool, rowidsEnd: usize, at: usize, outEnd: usize): usize {
  let out = at;
  for (let i: u32 = 0; i < size; i++) {
    const headerBytes = 1 + count + load<u32>(extraTypeBytes + 4 * i);
    const valueSum = uniformSum + load<u64>(valueSums + 8 * i);
    if (valueSum > ((outEnd - out) as u64)) return 0;
    const payloadBytes = headerBytes + (valueSum as u32);
    let recordBytes = varintSize(payloadBytes) + payloadBytes;
    if (hasRowids) {
      if (rowids >= rowidsEnd) return 0;
      rowid += unzigzag(readMixedVarint(rowids));
      rowids = varintEnd;
      recordBytes += varintSize(rowid);
    }
    if (recordBytes > ((outEnd - out) as u32)) return 0;
    out = writeVarint(out, payloadBytes);
    if (hasRowids) out = writeVarint(out, rowid);
    store<u8>(out, headerBytes);
    store<u32>(headAts + 4 * i, (out + 1) as u32);
    store<u32>(valueAts + 4 * i, (out + headerBytes) as u32);
    out += payloadBytes;
  }
  return out;
}

function areAllRead(columns: u32): bool {
  for (let i: u32 = 0; i < columns; i++) {
    const column = columnTable + i * columnBytes;
    if (load<u32>(column) != load<u32>(column, typesEnd)) return false;
    if (load<u32>(column, values) != load<u32>(column, valuesEnd)) return false;
  }
  return true;
}
