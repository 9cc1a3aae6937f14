/**
 * A hash of a table's rows that does not depend on their order (docs/format.md, "Content"). It is computed from the
 * values of a record and not from its bytes: a short record, a real number that is stored as an integer, and a rowid
 * that is a column have the value that SQLite reads.
 */
import {finished, firstBytes, highSeed, lowSeed, mixHigh, mixLow, tagText} from '../mix';
import {smallValueBytes, valueBytes} from '../record';
import {readVarint, varintEnd} from '../varint';

/** Sums of the two halves of the rows' hashes. */
export let contentLow: u64 = 0;
export let contentHigh: u64 = 0;
/** Whether a key has a value of a type that its column would store as another one (`isNumberKey`, `isTextKey`). */
export let hasOddKey: bool = false;

/** Where the plan is; 0: nothing is hashed. */
let plan: usize = 0;
let columns: u32 = 0;
let startsWithRowid: bool = false;

/** Of a column in the plan: what it is, and the serial type and the place of the value that short records have. */
const columnBytes: usize = 16;
const isReal: u32 = 1;
const isRowid: u32 = 2;
/** Of a key: a text is odd, or a number is. */
const isNumberKey: u32 = 4;
const isTextKey: u32 = 8;

/**
 * @param planAt 16 bytes for each column of a complete record: u32 flags; u32 serial type of the value that a record
 *   without the column stands for, and u32 where it is, from here; u32 0. 0: nothing is to be hashed
 * @param withRowid whether the rowid is a value of its own: in a table without a declared key
 */
export function beginContent(planAt: usize, columnCount: u32, withRowid: bool): void {
  plan = planAt;
  columns = columnCount;
  startsWithRowid = withRowid;
  contentLow = 0;
  contentHigh = 0;
  hasOddKey = false;
}

const tagNull: u64 = 0x9ae16a3b2f90404f;
const tagInteger: u64 = 0xc3a5c85c97cb3127;
const tagReal: u64 = 0xb492b66fbe98f273;
const tagBlob: u64 = 0xe7037ed1a0b428db;

/** Adds a record. Memory continues at least 16 bytes beyond it. @param payload a consistent record */
// @ts-ignore: decorator
@inline
export function addContent(payload: usize, rowid: i64): void {
  if (plan != 0) addRow(payload, rowid);
}

/** The two halves are locals, which a processor keeps in registers, and are mixed independently of each other. */
function addRow(payload: usize, rowid: i64): void {
  let low: u64 = lowSeed;
  let high: u64 = highSeed;
  if (startsWithRowid) high = mixLow(high, (rowid as u64) + tagInteger);
  const typesEnd = payload + (readVarint(payload) as usize);
  let typeAt = varintEnd;
  let value = typesEnd;
  const columnsEnd = plan + (columns as usize) * columnBytes;
  for (let column = plan; column < columnsEnd; column += columnBytes) {
    let type: u64;
    let at = value;
    if (typeAt < typesEnd) {
      type = load<u8>(typeAt);
      if (type < 0x80) typeAt++;
      else {
        type = readVarint(typeAt);
        typeAt = varintEnd;
      }
      value += valueBytes(type) as usize;
    } else {
      type = load<u32>(column, 4);
      at = plan + load<u32>(column, 8);
    }
    const flags = load<u32>(column);
    if (type < 12 || flags & isRowid) {
      // The halves take turns: then neither waits for its multiplication.
      const mixed = mixLow(low, wordOf(type as u32, at, flags, rowid));
      low = high;
      high = mixed;
      continue;
    }
    // The length is part of the hash, so that what follows a value is never taken for a part of it.
    const bytes = ((type - 12) >> 1) as usize;
    if (type & 1 && flags & isNumberKey) hasOddKey = true;
    const mixed = mixLow(low, (bytes as u64) + (type & 1 ? tagText : tagBlob));
    low = high;
    high = mixed;
    const end = at + bytes;
    for (; at + 16 <= end; at += 16) {
      low = mixLow(low, load<u64>(at));
      high = mixHigh(high, load<u64>(at, 8));
    }
    const rest = (end - at) as u64;
    if (rest != 0) {
      low = mixLow(low, load<u64>(at) & firstBytes(rest));
      high = mixHigh(high, rest > 8 ? load<u64>(at, 8) & firstBytes(rest - 8) : 0);
    }
  }
  contentLow += finished(low ^ rotl<u64>(high, 32));
  contentHigh += finished(high + low);
}

/** A value that is no text and no blob, or the rowid, which SQLite reads whatever the record has in its place. */
// @ts-ignore: decorator
@inline
function wordOf(type: u32, at: usize, flags: u32, rowid: i64): u64 {
  // Usually the record has a NULL.
  if (flags & isRowid) return (rowid as u64) + tagInteger;
  if (type == 0 || type > 9) return tagNull;
  if (flags & isTextKey) hasOddKey = true;
  const stored = bswap<u64>(load<u64>(at));
  if (type == 7) {
    const real = reinterpret<f64>(stored);
    // SQLite reads a NaN as NULL.
    return real == real ? stored + tagReal : tagNull;
  }
  const bits = (8 * smallValueBytes(type)) as i64;
  const integer: i64 = bits == 0 ? (type as i64) - 8 : (stored as i64) >> (64 - bits);
  return flags & isReal ? reinterpret<u64>(integer as f64) + tagReal : (integer as u64) + tagInteger;
}
