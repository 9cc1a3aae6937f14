/** Records become columns. */
import {valueBytes} from '../record';
import {readVarint, varintEnd, varintSize, writeVarint} from '../varint';
import {blockRecords} from './blocks';
import {blockColumns, blockEnd, isShortest, leastBlockRecords, readBlock, varintSizeOf} from './split-blocks';
import {lastRowid, measureBlock, readTypes, shortRecords, writeBlock, writeRowids} from './split-blocks';
import {
  before,
  columnBytes,
  columnTable,
  copyValue,
  differenceBytes,
  differencesFlag,
  fixedBytes,
  gap,
  hasDifferences,
  integerBytes,
  isInteger,
  mostColumns,
  mostHeaderBytes,
  readInteger,
  shortSize,
  types,
  values,
  valuesEnd,
  zigzag,
} from './streams';

let records: u32 = 0;
let columns: u32 = 0;
let rowidBytes: u32 = 0;

/** The rowids as they are stored, at most nine bytes of each record of three or more. */
let rowidsAt: usize = 0;
/** The serial types of all blocks, column by column. */
let blockTypes: usize = 0;
/**
 * How the records are divided into blocks, u32: the records of a block and its columns, as `columns << 8 | records`,
 * and where the types of each of its records begin; or 0, and where a record begins that is in no block. That is at
 * most eight bytes for a record, which has at least two.
 */
let plan: usize = 0;

/** So many records decide which columns' integers are differences. */
const sampleRecords: u32 = 512;

/**
 * @param plain records, each with its length and perhaps a rowid in front; 8 KiB of memory follow `plainEnd`
 * @param most bytes that may be written at `out`, not fewer than 2048
 * @param scratch memory of eight times `scratchUnit` and 1 KiB more
 * @param scratchUnit a multiple of 16, not less than the bytes of the records: of records of similar lengths it should
 *   be the same, so that the same memory is used
 * @returns how many bytes were written; 0 if joining them would not restore every byte, or they would be more
 */
export function split(
  plain: usize,
  plainEnd: usize,
  hasRowids: bool,
  out: usize,
  most: u32,
  scratch: usize,
  scratchUnit: u32,
): u32 {
  rowidsAt = scratch;
  blockTypes = rowidsAt + 3 * scratchUnit + gap;
  plan = blockTypes + scratchUnit + gap;
  memory.fill(columnTable, 0, mostColumns * columnBytes);
  for (let i: u32 = 0; i < mostColumns; i++) store<u32>(columnTable + i * columnBytes, 1, hasDifferences);
  if (!measure(plain, plainEnd, hasRowids, sampleRecords)) return 0;
  chooseDifferences();
  if (!measure(plain, plainEnd, hasRowids, u32.MAX_VALUE)) return 0;
  const bytes = place(out);
  if (bytes > (most as u64)) return 0;
  write(hasRowids, out);
  return bytes as u32;
}

/** Starts the table of columns again. Differences of integers without an order compress worse than the integers. */
function chooseDifferences(): void {
  for (let i: u32 = 0; i < mostColumns; i++) {
    const column = columnTable + i * columnBytes;
    const isWorthIt = 4 * load<u32>(column, differenceBytes) < 3 * load<u32>(column, integerBytes);
    memory.fill(column, 0, columnBytes);
    store<u32>(column, isWorthIt, hasDifferences);
  }
}

/**
 * Leaves the lengths of all streams in the table of columns. Nothing that it accepts can make {@link write} leave the
 * records or the streams.
 */
function measure(plain: usize, plainEnd: usize, hasRowids: bool, mostRecords: u32): bool {
  records = 0;
  columns = 0;
  rowidBytes = 0;
  let rowidBefore: i64 = 0;
  let planAt = plan;
  let typesAt = blockTypes;
  let limit = blockRecords;
  // Records before the next block.
  let singles: u32 = 0;
  for (let at = plain; at < plainEnd && records < mostRecords; records++) {
    let size: u32 = 0;
    if (singles > 0) {
      singles--;
    } else {
      const left = mostRecords - records;
      size = readBlock(at, plainEnd, hasRowids, limit < left ? limit : left, planAt + 4);
      limit = 2 * limit;
      if (limit > blockRecords) limit = blockRecords;
      if (size >= leastBlockRecords && !readTypes(planAt + 4, size, typesAt)) {
        size = shortRecords(planAt + 4, size);
        // Probably there are as many before the next long type.
        limit = 2 * size + leastBlockRecords;
        singles = size < leastBlockRecords ? size : 0;
        if (singles == 0) readTypes(planAt + 4, size, typesAt);
      }
    }
    if (size >= leastBlockRecords) {
      if (!measureBlock(typesAt, size)) return false;
      if (hasRowids) {
        rowidBytes += writeRowids(rowidsAt + rowidBytes, size, rowidBefore);
        rowidBefore = lastRowid(size);
      }
      if (blockColumns > columns) columns = blockColumns;
      store<u32>(planAt, (blockColumns << 8) | size);
      planAt += 4 + 4 * size;
      typesAt += blockColumns * size;
      records += size - 1;
      at = blockEnd;
      continue;
    }
    store<u32>(planAt, 0);
    store<u32>(planAt, at as u32, 4);
    planAt += 8;
    const payloadBytes = readVarint(at);
    if (!isShortest(at, payloadBytes)) return false;
    at = varintEnd;
    if (hasRowids) {
      const rowid = readVarint(at) as i64;
      if (!isShortest(at, rowid)) return false;
      at = varintEnd;
      const rowidTo = rowidsAt + rowidBytes;
      rowidBytes += (writeVarint(rowidTo, zigzag(rowid - rowidBefore)) - rowidTo) as u32;
      rowidBefore = rowid;
    }
    if (at >= plainEnd || payloadBytes > ((plainEnd - at) as u64)) return false;
    const end = at + (payloadBytes as usize);
    const headerBytes: u32 = load<u8>(at);
    if (headerBytes > mostHeaderBytes || (headerBytes as u64) > payloadBytes) return false;
    const headerEnd = at + headerBytes;
    let valueAt = headerEnd;
    let column = columnTable;
    let typeAt = at + 1;
    for (; typeAt < headerEnd; column += columnBytes) {
      const type: u32 = load<u8>(typeAt);
      let typeBytes: u32 = 1;
      let bytes: u32 = shortSize(type & 0x7f);
      if (type >= 0x80) {
        const long = readVarint(typeAt);
        typeBytes = (varintEnd - typeAt) as u32;
        if (typeBytes != varintSize(long) || valueBytes(long) > payloadBytes) return false;
        bytes = valueBytes(long) as u32;
      }
      if (valueAt + bytes > end) return false;
      if (isInteger(type) && load<u32>(column, hasDifferences) != 0) measureInteger(column, valueAt, bytes);
      typeAt += typeBytes;
      valueAt += bytes;
      store<u32>(column, load<u32>(column, types) + typeBytes, types);
      store<u32>(column, load<u32>(column, values) + bytes, values);
    }
    if (typeAt != headerEnd || valueAt != end) return false;
    const count = ((column - columnTable) as u32) / columnBytes;
    if (count > columns) columns = count;
    at = end;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function measureInteger(column: usize, at: usize, bytes: u32): void {
  const value = readInteger(at, bytes);
  const difference = zigzag(value - load<i64>(column, before));
  store<i64>(column, value, before);
  // Both sums in one step.
  const sums = ((varintSizeOf(difference) as u64) << 32) | bytes;
  store<u64>(column, load<u64>(column, integerBytes) + sums, integerBytes);
}

/**
 * Writes the lengths, and replaces them in the table by the positions of their streams.
 * @returns bytes of everything
 */
function place(out: usize): u64 {
  store<u32>(out, records);
  store<u32>(out, columns, 4);
  store<u32>(out, rowidBytes, 8);
  const typeLengths = out + fixedBytes;
  const valueLengths = typeLengths + 4 * columns;
  let at: u64 = fixedBytes + 8 * columns + (records + gap) + (rowidBytes + gap);
  for (let i: u32 = 0; i < columns; i++) {
    const column = columnTable + i * columnBytes;
    const bytes = load<u32>(column, types);
    store<u32>(typeLengths + 4 * i, bytes);
    store<u32>(column, (out + (at as usize)) as u32, types);
    at += bytes + gap;
  }
  for (let i: u32 = 0; i < columns; i++) {
    const column = columnTable + i * columnBytes;
    const bytes = load<u32>(column, values) - load<u32>(column, integerBytes) + load<u32>(column, differenceBytes);
    const flag = load<u32>(column, hasDifferences) != 0 ? differencesFlag : 0;
    store<u32>(valueLengths + 4 * i, bytes | flag);
    store<i64>(column, 0, before);
    store<u32>(column, (out + (at as usize)) as u32, values);
    at += bytes + gap;
    store<u32>(column, (out + (at as usize)) as u32 - gap, valuesEnd);
  }
  return at;
}

/** Follows the plan of {@link measure}. */
function write(hasRowids: bool, out: usize): void {
  let counts = out + fixedBytes + 8 * columns;
  const countsEnd = counts + records;
  memory.copy(countsEnd + gap, rowidsAt, rowidBytes);
  endStream(countsEnd + gap + rowidBytes);
  let planAt = plan;
  let typesAt = blockTypes;
  while (counts < countsEnd) {
    const block = load<u32>(planAt);
    if (block == 0) {
      store<u8>(counts, writeRecord(load<u32>(planAt, 4), hasRowids));
      counts++;
      planAt += 8;
      continue;
    }
    const size = block & 0xff;
    const count = block >> 8;
    writeBlock(planAt + 4, typesAt, size, count);
    memory.fill(counts, count as u8, size);
    counts += size;
    planAt += 4 + 4 * size;
    typesAt += count * size;
  }
  endStream(counts);
  for (let i: u32 = 0; i < columns; i++) {
    endStream(load<u32>(columnTable + i * columnBytes, types));
    endStream(load<u32>(columnTable + i * columnBytes, values));
  }
}

/** @returns its number of columns */
function writeRecord(record: usize, hasRowids: bool): u32 {
  readVarint(record);
  if (hasRowids) readVarint(varintEnd);
  const at = varintEnd;
  const headerEnd = at + load<u8>(at);
  let valueAt = headerEnd;
  let column = columnTable;
  for (let typeAt = at + 1; typeAt < headerEnd; column += columnBytes) {
    const type: u32 = load<u8>(typeAt);
    const typeTo: usize = load<u32>(column, types);
    let bytes: u32 = shortSize(type & 0x7f);
    if (type < 0x80) {
      store<u8>(typeTo, type);
      store<u32>(column, (typeTo + 1) as u32, types);
      typeAt++;
    } else {
      const long = readVarint(typeAt);
      typeAt = varintEnd;
      store<u32>(column, writeVarint(typeTo, long) as u32, types);
      bytes = valueBytes(long) as u32;
    }
    const valueTo: usize = load<u32>(column, values);
    if (isInteger(type) && load<u32>(column, hasDifferences) != 0) {
      const value = readInteger(valueAt, bytes);
      store<u32>(column, writeVarint(valueTo, zigzag(value - load<i64>(column, before))) as u32, values);
      store<i64>(column, value, before);
    } else {
      copyValue(valueTo, valueAt, bytes);
      store<u32>(column, (valueTo + bytes) as u32, values);
    }
    valueAt += bytes;
  }
  return ((column - columnTable) as u32) / columnBytes;
}

function endStream(at: usize): void {
  v128.store(at, v128.splat<u8>(0));
}
