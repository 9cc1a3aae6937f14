/** Records become columns. */
import {smallValueBytes, valueBytes} from '../record';
import {readVarint, varintEnd, varintSize, writeVarint} from '../varint';
import {
  columnBytes,
  columnTable,
  copyValue,
  fixedBytes,
  gap,
  mostColumns,
  mostHeaderBytes,
  values,
  zigzag,
} from './streams';

let records: u32 = 0;
let columns: u32 = 0;
let rowidBytes: u32 = 0;

/**
 * @param plain records, each with its length and perhaps a rowid in front; 16 readable bytes follow `plainEnd`
 * @param most bytes that may be written at `out`
 * @returns how many bytes were written; 0 if joining them would not restore every byte, or they would be more
 */
export function split(plain: usize, plainEnd: usize, hasRowids: bool, out: usize, most: u32): u32 {
  if (!measure(plain, plainEnd, hasRowids)) return 0;
  const bytes = place(out);
  if (bytes > (most as u64)) return 0;
  write(plain, plainEnd, hasRowids, out);
  return bytes as u32;
}

/**
 * Leaves the lengths of all streams in the table of columns. Nothing that it accepts can make {@link write} leave the
 * records or the streams.
 */
function measure(plain: usize, plainEnd: usize, hasRowids: bool): bool {
  records = 0;
  columns = 0;
  rowidBytes = 0;
  memory.fill(columnTable, 0, mostColumns * columnBytes);
  let before: i64 = 0;
  for (let at = plain; at < plainEnd; records++) {
    const payloadBytes = readVarint(at);
    if (!isShortest(at, payloadBytes)) return false;
    at = varintEnd;
    if (hasRowids) {
      const rowid = readVarint(at) as i64;
      if (!isShortest(at, rowid)) return false;
      at = varintEnd;
      rowidBytes += varintSize(zigzag(rowid - before));
      before = rowid;
    }
    if (at >= plainEnd || payloadBytes > ((plainEnd - at) as u64)) return false;
    const end = at + (payloadBytes as usize);
    const headerBytes: u32 = load<u8>(at);
    if (headerBytes > mostHeaderBytes || (headerBytes as u64) > payloadBytes) return false;
    const headerEnd = at + headerBytes;
    let valuesEnd: u64 = headerEnd;
    let column = columnTable;
    let typeAt = at + 1;
    for (; typeAt < headerEnd; column += columnBytes) {
      const type: u32 = load<u8>(typeAt);
      let typeBytes: u32 = 1;
      let bytes: u32 = smallValueBytes(type & 0x7f);
      if (type >= 0x80) {
        const long = readVarint(typeAt);
        typeBytes = (varintEnd - typeAt) as u32;
        if (typeBytes != varintSize(long) || valueBytes(long) > payloadBytes) return false;
        bytes = valueBytes(long) as u32;
      }
      typeAt += typeBytes;
      valuesEnd += bytes;
      store<u32>(column, load<u32>(column) + typeBytes);
      store<u32>(column, load<u32>(column, values) + bytes, values);
    }
    if (typeAt != headerEnd || valuesEnd != (end as u64)) return false;
    const count = ((column - columnTable) as u32) / columnBytes;
    if (count > columns) columns = count;
    at = end;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function isShortest(at: usize, value: u64): bool {
  return value < 0x80 ? varintEnd == at + 1 : ((varintEnd - at) as u32) == varintSize(value);
}

/**
 * Writes the lengths, and replaces them in the table by the positions of their streams.
 * @returns bytes of everything
 */
function place(out: usize): u64 {
  store<u32>(out, records);
  store<u32>(out, columns, 4);
  store<u32>(out, rowidBytes, 8);
  const lengths = out + fixedBytes;
  let at: u64 = fixedBytes + 8 * columns + (records + gap) + (rowidBytes + gap);
  for (let side: usize = 0; side <= values; side += values) {
    for (let i: u32 = 0; i < columns; i++) {
      const column = columnTable + i * columnBytes + side;
      const bytes = load<u32>(column);
      store<u32>(lengths + (side >> 1) * columns + 4 * i, bytes);
      store<u32>(column, (out + (at as usize)) as u32);
      at += bytes + gap;
    }
  }
  return at;
}

function write(plain: usize, plainEnd: usize, hasRowids: bool, out: usize): void {
  let counts = out + fixedBytes + 8 * columns;
  let rowids = counts + records + gap;
  let before: i64 = 0;
  for (let at = plain; at < plainEnd; ) {
    readVarint(at);
    at = varintEnd;
    if (hasRowids) {
      const rowid = readVarint(at) as i64;
      at = varintEnd;
      rowids = writeVarint(rowids, zigzag(rowid - before));
      before = rowid;
    }
    const headerEnd = at + load<u8>(at);
    let valueAt = headerEnd;
    let column = columnTable;
    for (let typeAt = at + 1; typeAt < headerEnd; column += columnBytes) {
      const type: u32 = load<u8>(typeAt);
      const types: usize = load<u32>(column);
      let bytes: u32 = smallValueBytes(type & 0x7f);
      if (type < 0x80) {
        store<u8>(types, type);
        store<u32>(column, (types + 1) as u32);
        typeAt++;
      } else {
        const long = readVarint(typeAt);
        typeAt = varintEnd;
        store<u32>(column, writeVarint(types, long) as u32);
        bytes = valueBytes(long) as u32;
      }
      const to: usize = load<u32>(column, values);
      copyValue(to, valueAt, bytes);
      store<u32>(column, (to + bytes) as u32, values);
      valueAt += bytes;
    }
    store<u8>(counts, ((column - columnTable) as u32) / columnBytes);
    counts++;
    at = valueAt;
  }
  endStream(counts);
  endStream(rowids);
  for (let i: u32 = 0; i < columns; i++) {
    endStream(load<u32>(columnTable + i * columnBytes));
    endStream(load<u32>(columnTable + i * columnBytes, values));
  }
}

function endStream(at: usize): void {
  v128.store(at, v128.splat<u8>(0));
}
