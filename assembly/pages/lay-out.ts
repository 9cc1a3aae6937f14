/**
 * Records become leaf pages, filled up, and overflow pages
 * (https://www.sqlite.org/fileformat2.html#b_tree_pages). A page that another one points to is named by its position in
 * the output, because page numbers are taken when it is known how many are needed.
 *
 * - A cell takes at least 4 bytes.
 * - The last record of a key tree is in a leaf. So is the one before a separator that ends a piece: no leaf is empty.
 * - The overflow pages of a record follow each other.
 * - A trap, and not a wrong page, is what a broken invariant leads to.
 */
import {copyBytes} from '../copy';
import {localBytes} from '../record';
import {readVarint, varintEnd} from '../varint';
import {checkedRecords, checkRecords, lastRecordAt, noFault, recordBeforeLastAt} from './check-records';

const leafOfTable: u32 = 13;
const leafOfKeys: u32 = 10;
const leafHeaderBytes: u32 = 8;
const leastCellBytes: u32 = 4;

/** Pages of the last {@link layOut}, and how many of them are leaves. */
export let pageCount: u32 = 0;
export let leafCount: u32 = 0;
/** Pointers to overflow pages that it wrote. */
export let linkCount: u32 = 0;

let pageBytes: u32 = 0;
let usableBytes: u32 = 0;
let out: usize = 0;
let outEnd: usize = 0;
let links: usize = 0;
let marks: usize = 0;

/**
 * @param usable bytes of a page, without its reserved bytes
 * @param outAt receives pages: eight times the bytes of a piece are enough
 * @param linksAt receives, for each pointer to an overflow page, its position in the output: u32
 */
export function setUpLayout(page: u32, usable: u32, outAt: usize, outLimit: usize, linksAt: usize): void {
  pageBytes = page;
  usableBytes = usable;
  out = outAt;
  outEnd = outLimit;
  links = linksAt;
}

/**
 * Lays out a piece of a tree: the records of one or more chunks.
 * @param isLast whether the tree ends with it; else the last record of a key tree becomes the separator that follows
 *   its last leaf, so that it needs two records at least
 * @param marksAt receives 16 bytes for each leaf, four u32: its position among the pages; address and length of the
 *   key that separates it from the next leaf, as a cell of an inner page has it (length 0: there is none); the position
 *   plus one of the key's first overflow page, to be appended to it (0: it has none)
 * @returns what is wrong with the records, as of `checkRecords`
 */
export function layOut(at: usize, end: usize, isTable: bool, isLast: bool, marksAt: usize): u32 {
  pageCount = 0;
  leafCount = 0;
  linkCount = 0;
  marks = marksAt;
  const fault = checkRecords(at, end, isTable);
  if (fault != noFault) return fault;
  if (isTable) layOutTable(at, end);
  else layOutKeys(at, end, isLast);
  return noFault;
}

function layOutTable(at: usize, end: usize): void {
  let record = at;
  let key: usize = 0;
  let keyBytes: u32 = 0;
  while (record < end) {
    measure(record, true);
    if (leaf != 0 && !hasRoom(cellBytes)) closeLeaf(leafOfTable, key, keyBytes, 0);
    if (leaf == 0) openLeaf();
    addCell(record);
    key = rowidAt;
    keyBytes = (payloadAt - rowidAt) as u32;
    record = nextAt;
  }
  if (leaf != 0) closeLeaf(leafOfTable, key, keyBytes, 0);
}

function layOutKeys(at: usize, end: usize, isLast: bool): void {
  const fewest: u32 = isLast ? 1 : 2;
  if (checkedRecords < fewest) unreachable();
  const lastInLeaf = isLast ? lastRecordAt : recordBeforeLastAt;
  let record = at;
  while (record <= lastInLeaf) {
    measure(record, false);
    if (leaf != 0 && isSeparator(record, lastInLeaf)) {
      separate(record);
    } else {
      if (leaf == 0) openLeaf();
      addCell(record);
    }
    record = nextAt;
  }
  if (isLast) {
    closeLeaf(leafOfKeys, 0, 0, 0);
  } else {
    measure(record, false);
    separate(record);
  }
}

/**
 * Whether the record measured last belongs between the open leaf and the next one: it has no room in the open leaf, or
 * the last record would not have it after it, and nothing could separate that one.
 */
function isSeparator(record: usize, lastInLeaf: usize): bool {
  if (!hasRoom(cellBytes)) {
    if (record == lastInLeaf) unreachable();
    return true;
  }
  if (nextAt != lastInLeaf) return false;
  const bytes = cellBytes;
  measure(nextAt, false);
  const bothHaveRoom = hasRoom(bytes + 2 + cellBytes);
  measure(record, false);
  return !bothHaveRoom;
}

/** Of the record that {@link measure} saw last. */
let rowidAt: usize = 0;
let payloadAt: usize = 0;
let nextAt: usize = 0;
/** Bytes of its payload in its cell. */
let local: u32 = 0;
/** Of its cell, at least 4. */
let cellBytes: u32 = 0;

// @ts-ignore: decorator
@inline
function measure(record: usize, isTable: bool): void {
  const payloadBytes = readVarint(record);
  rowidAt = varintEnd;
  if (isTable) readVarint(varintEnd);
  payloadAt = varintEnd;
  nextAt = payloadAt + (payloadBytes as usize);
  local = localBytes(payloadBytes, usableBytes, isTable);
  const bytes = ((payloadAt - record) as u32) + local + ((local as u64) < payloadBytes ? 4 : 0);
  cellBytes = bytes < leastCellBytes ? leastCellBytes : bytes;
}

/** The open leaf; 0 if none is open. */
let leaf: usize = 0;
let leafPosition: u32 = 0;
let leafCells: u32 = 0;
/** Where its cells begin; they are added from its end down. */
let leafTop: u32 = 0;

// @ts-ignore: decorator
@inline
function hasRoom(bytes: u32): bool {
  return leafHeaderBytes + 2 * (leafCells + 1) + bytes <= leafTop;
}

function openLeaf(): void {
  leafPosition = pageCount;
  leaf = addPage();
  memory.fill(leaf, 0, pageBytes);
  leafCells = 0;
  leafTop = usableBytes;
}

/** Adds the record measured last to the open leaf. */
// @ts-ignore: decorator
@inline
function addCell(record: usize): void {
  leafTop -= cellBytes;
  putU16(leaf + leafHeaderBytes + 2 * leafCells, leafTop);
  leafCells++;
  const cell = leaf + leafTop;
  const here = ((payloadAt - record) as u32) + local;
  copyBytes(cell, record, here);
  const rest = (nextAt - payloadAt) as u32 - local;
  if (rest > 0) link(cell + here, addOverflow(payloadAt + local, rest));
}

/** Closes the open leaf; the record measured last separates it from the next one. */
function separate(record: usize): void {
  const here = ((payloadAt - record) as u32) + local;
  const rest = (nextAt - payloadAt) as u32 - local;
  const first = rest > 0 ? addOverflow(payloadAt + local, rest) + 1 : 0;
  closeLeaf(leafOfKeys, record, here, first);
}

function closeLeaf(type: u32, keyAt: usize, keyBytes: u32, overflow: u32): void {
  store<u8>(leaf, type);
  putU16(leaf + 3, leafCells);
  putU16(leaf + 5, leafTop);
  leaf = 0;
  const mark = marks + (leafCount as usize) * 16;
  store<u32>(mark, leafPosition);
  store<u32>(mark + 4, keyAt as u32);
  store<u32>(mark + 8, keyBytes);
  store<u32>(mark + 12, overflow);
  leafCount++;
}

/** @returns the position of the first page of the chain */
function addOverflow(at: usize, bytes: u32): u32 {
  const first = pageCount;
  const most = usableBytes - 4;
  let from = at;
  let rest = bytes;
  let before: usize = 0;
  while (rest > 0) {
    if (before != 0) link(before, pageCount);
    const page = addPage();
    const part = rest < most ? rest : most;
    store<u32>(page, 0);
    memory.copy(page + 4, from, part);
    memory.fill(page + 4 + part, 0, pageBytes - 4 - part);
    before = page;
    from += part;
    rest -= part;
  }
  return first;
}

/** Its content is what was written there before. */
function addPage(): usize {
  const page = out + (pageCount as usize) * pageBytes;
  if (page + pageBytes > outEnd) unreachable();
  pageCount++;
  return page;
}

function link(pointer: usize, position: u32): void {
  store<u32>(pointer, bswap<u32>(position));
  store<u32>(links + (linkCount as usize) * 4, (pointer - out) as u32);
  linkCount++;
}

// @ts-ignore: decorator
@inline
function putU16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(value as u16));
}
