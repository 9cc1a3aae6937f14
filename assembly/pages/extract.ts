/**
 * Pages of b-trees become records (docs/format.md): payload length, in rowid trees the rowid, and the payload with its
 * overflow. Nothing that a page contains is trusted: every offset is checked before it is used.
 *
 * Each page takes one call. A caller begins an extraction, then passes leaves in the order of their tree, and in key
 * trees the separator after each.
 */
import {isRecord, localBytes} from '../record';
import {readVarint, varintEnd, varintSize, writeVarint} from '../varint';
import {load16, load32} from './big-endian';
import {addContent} from './content';
import * as leaf from './leaf';
import {beginMarks, markRecord} from './marks';
import {damaged, Fault, Outcome} from './outcome';
import {beginOutput, copyLoosely, endOutput, outputAt, outputEnd, records, roomFor} from './output';

/** Writes the bytes of an overflow chain; throws through this module when the chain is damaged. */
// @ts-ignore: decorator
@external("env", "readOverflow")
declare function readOverflow(firstPage: u32, into: usize, bytes: u32): void;

const tableLeaf: u8 = 13;
const keyLeafType: u8 = 10;
const keyInner: u8 = 2;
const innerHeaderBytes: u32 = 12;

/** The cell at which a call ended that was not done; the number of cells stands for the separator. */
export let stoppedAt: u32 = 0;

let after: i64 = 0;
let isOpen: bool = false;
let upTo: i64 = 0;

/** Records with rowids in (afterRowid, upToRowid] will be written. @param open whether there is no lower limit */
export function beginRowids(output: usize, afterRowid: i64, open: bool, upToRowid: i64): void {
  leaf.forgetPieces();
  beginOutput(output);
  after = afterRowid;
  isOpen = open;
  upTo = upToRowid;
}

/** @param mask 2^b - 1: records of whose hash the low b bits are 0 qualify */
export function beginKeys(output: usize, marks: usize, mask: u32, hashesHead: bool): void {
  leaf.forgetPieces();
  beginOutput(output);
  beginMarks(marks, mask, hashesHead);
}

/**
 * @param bounds two rowids: those of the page are greater than the first, and not greater than the second. The least
 *   rowid of all as the first is no limit: it may itself be in the tree's first leaf
 * @param from the first cell of which the record is written
 */
export function takeRowidLeaf(page: usize, bounds: usize, from: u32): Outcome {
  if (load<u8>(page) != tableLeaf) return damaged(Fault.notTableLeaf);
  if (!leaf.openLeaf(page)) return Outcome.fault;
  const usable = leaf.usableBytes;
  const cells = leaf.leafCells;
  const most = load<i64>(bounds, 8);
  let last = load<i64>(bounds);
  const isUnlimited = last == i64.MIN_VALUE;
  let cellBytes: u32 = 0;
  for (let index: u32 = 0; index < cells; index++) {
    const offset = load16(page + 8 + 2 * index);
    if (offset < leaf.contentAt || offset + leaf.leastPieceBytes > usable) return damaged(Fault.cellPointer);
    const cell = page + offset;
    const payloadBytes = readVarint(cell);
    const rowid = readVarint(varintEnd) as i64;
    const payload = varintEnd;
    if (rowid <= last && (index != 0 || !isUnlimited)) {
      return damaged(index == 0 ? Fault.rowidBounds : Fault.rowidOrder);
    }
    if (rowid > most) return damaged(Fault.rowidBounds);
    last = rowid;
    if (payloadBytes > leaf.mostPayloadBytes) return damaged(Fault.payload);
    const local = localBytes(payloadBytes, usable, true);
    const spills = (local as u64) < payloadBytes;
    const bytes = cellSize((payload - cell) as u32 + local, spills);
    if (offset + bytes > usable) return damaged(Fault.cellEnd);
    if (!leaf.takePiece(offset, bytes)) return damaged(Fault.overlap);
    cellBytes += bytes;
    if (index < from || rowid > upTo || (rowid <= after && !isOpen)) continue;

    const headBytes = varintSize(payloadBytes) + varintSize(rowid);
    const room = roomFor((headBytes as u64) + payloadBytes);
    if (room != Outcome.done) return stopAt(index, room);
    let out = outputEnd;
    if ((headBytes as usize) == payload - cell) {
      copyLoosely(out, cell, headBytes + local);
      out += headBytes;
    } else {
      out = writeVarint(writeVarint(out, payloadBytes), rowid);
      copyLoosely(out, payload, local);
    }
    if (spills) readOverflow(load32(payload + local), out + local, (payloadBytes as u32) - local);
    if (!isRecord(out, payloadBytes as u32)) return damaged(Fault.record);
    addContent(out, rowid);
    endOutput(out + (payloadBytes as usize));
  }
  return leaf.closeLeaf(cellBytes) ? Outcome.done : Outcome.fault;
}

/** @param from as with rowids */
export function takeKeyLeaf(page: usize, from: u32): Outcome {
  if (load<u8>(page) != keyLeafType) return damaged(Fault.notKeyLeaf);
  if (!leaf.openLeaf(page)) return Outcome.fault;
  const cells = leaf.leafCells;
  let cellBytes: u32 = 0;
  for (let index: u32 = 0; index < cells; index++) {
    const offset = load16(page + 8 + 2 * index);
    if (offset < leaf.contentAt || offset + leaf.leastPieceBytes > leaf.usableBytes) return damaged(Fault.cellPointer);
    if (!measureKeyCell(page, offset, page + offset)) return Outcome.fault;
    if (!leaf.takePiece(offset, measuredBytes)) return damaged(Fault.overlap);
    cellBytes += measuredBytes;
    if (index < from) continue;
    const outcome = takeKeyRecord(page + offset);
    if (outcome == Outcome.full || outcome == Outcome.tooLarge) return stopAt(index, outcome);
    if (outcome != Outcome.done) return outcome;
  }
  return leaf.closeLeaf(cellBytes) ? Outcome.done : Outcome.fault;
}

/** The record in a cell of an inner page, after its 4 bytes for the page to the left. */
export function takeSeparator(page: usize, index: u32): Outcome {
  if (load<u8>(page) != keyInner) return damaged(Fault.notKeyInner);
  const cells = load16(page + 3);
  const contentLeast = innerHeaderBytes + 2 * cells;
  if (index >= cells || contentLeast > leaf.usableBytes) return damaged(Fault.header);
  const offset = load16(page + innerHeaderBytes + 2 * index);
  if (offset < contentLeast || offset + 4 + leaf.leastPieceBytes > leaf.usableBytes) return damaged(Fault.cellPointer);
  const cell = page + offset + 4;
  if (!measureKeyCell(page, offset, cell)) return Outcome.fault;
  const outcome = takeKeyRecord(cell);
  return outcome == Outcome.full || outcome == Outcome.tooLarge ? stopAt(leaf.leafCells, outcome) : outcome;
}

/** What {@link measureKeyCell} found; {@link takeKeyRecord} uses it. */
let measuredBytes: u32 = 0;
let payloadBytes: u64 = 0;
let payload: usize = 0;
let local: u32 = 0;

/** @param at the payload length in the cell that begins at `offset` */
// @ts-ignore: decorator
@inline
function measureKeyCell(page: usize, offset: u32, at: usize): bool {
  payloadBytes = readVarint(at);
  payload = varintEnd;
  if (payloadBytes > leaf.mostPayloadBytes) {
    damaged(Fault.payload);
    return false;
  }
  local = localBytes(payloadBytes, leaf.usableBytes, false);
  const head = (payload - (page + offset)) as u32;
  measuredBytes = cellSize(head + local, (local as u64) < payloadBytes);
  if (offset + measuredBytes <= leaf.usableBytes) return true;
  damaged(Fault.cellEnd);
  return false;
}

/** @param at the payload length of the cell that was measured */
// @ts-ignore: decorator
@inline
function takeKeyRecord(at: usize): Outcome {
  const headBytes = varintSize(payloadBytes);
  const room = roomFor((headBytes as u64) + payloadBytes);
  if (room != Outcome.done) return room;
  const start = outputEnd;
  const out = start + headBytes;
  if ((headBytes as usize) == payload - at) {
    copyLoosely(start, at, headBytes + local);
  } else {
    writeVarint(start, payloadBytes);
    copyLoosely(out, payload, local);
  }
  const bytes = payloadBytes as u32;
  if (local < bytes) readOverflow(load32(payload + local), out + local, bytes - local);
  if (!isRecord(out, bytes)) return damaged(Fault.record);
  addContent(out, 0);
  markRecord((start - outputAt) as u32, records, out, bytes);
  endOutput(out + bytes);
  return Outcome.done;
}

/** @param bytes of the lengths and of the part of the payload that is in the page */
// @ts-ignore: decorator
@inline
function cellSize(bytes: u32, spills: bool): u32 {
  if (spills) return bytes + 4;
  return bytes < leaf.leastPieceBytes ? leaf.leastPieceBytes : bytes;
}

function stopAt(cell: u32, outcome: Outcome): Outcome {
  stoppedAt = cell;
  return outcome;
}
