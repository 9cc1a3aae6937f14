/**
 * The structure of a leaf (https://www.sqlite.org/fileformat2.html#b_tree_pages): a header, pointers to cells, unused
 * bytes, and the content area, in which cells, free blocks and fragments of up to three bytes share every byte.
 */
import {load16} from './big-endian';
import {Fault, refuse} from './outcome';

const leafHeaderBytes: u32 = 8;
/** The least that a cell or a free block takes, so that a removed cell can become a free block. */
export const leastPieceBytes: u32 = 4;

/** Bytes of a page without the reserved ones. */
export let usableBytes: u32 = 0;
/** No payload is longer: all pages together do not hold more. */
export let mostPayloadBytes: u64 = 0;
/** u16 by offset in the page: the size of the cell or free block that begins there; else 0. */
let pieceAt: usize = 0;

/** Of the leaf that was opened last: its cells, and the offset of its content area. */
export let leafCells: u32 = 0;
export let contentAt: u32 = 0;

/** Bytes before the content area, in free blocks and in fragments. */
let otherBytes: u32 = 0;
let pieces: u32 = 0;

/** Once for each file. @param scratch 128 KiB */
export function setFile(usable: u32, mostPayload: u64, scratch: usize): void {
  usableBytes = usable;
  mostPayloadBytes = mostPayload;
  pieceAt = scratch;
}

/** What a leaf that was opened and not closed left behind. */
export function forgetPieces(): void {
  memory.fill(pieceAt, 0, 2 * 65536);
}

/** Checks the header and the free blocks. {@link takePiece} is to be called for each cell, then {@link closeLeaf}. */
export function openLeaf(page: usize): bool {
  leafCells = load16(page + 3);
  const content = load16(page + 5);
  contentAt = content == 0 ? 65536 : content;
  if (contentAt < leafHeaderBytes + 2 * leafCells || contentAt > usableBytes) return refuse(Fault.header);
  otherBytes = contentAt + (load<u8>(page + 7) as u32);
  pieces = leafCells;
  let least = contentAt;
  for (let at = load16(page + 1); at != 0; at = load16(page + at)) {
    if (at < least || at + leastPieceBytes > usableBytes) return refuse(Fault.freeBlocks);
    const bytes = load16(page + at + 2);
    least = at + bytes;
    if (bytes < leastPieceBytes || least > usableBytes) return refuse(Fault.freeBlocks);
    takePiece(at, bytes);
    otherBytes += bytes;
    pieces++;
  }
  return true;
}

/** @returns false when another piece begins at the same offset */
// @ts-ignore: decorator
@inline
export function takePiece(offset: u32, bytes: u32): bool {
  const at = pieceAt + 2 * offset;
  if (load<u16>(at) != 0) return false;
  store<u16>(at, bytes);
  return true;
}

/**
 * Whether no two pieces overlap, and what they leave is as much as the header reports as fragments.
 * @param cellBytes of all cells together
 */
export function closeLeaf(cellBytes: u32): bool {
  let left = pieces;
  for (let at = contentAt; at < usableBytes; ) {
    const place = pieceAt + 2 * at;
    const bytes: u32 = load<u16>(place);
    if (bytes == 0) {
      at++;
      continue;
    }
    store<u16>(place, 0);
    at += bytes;
    left--;
  }
  if (left != 0) return refuse(Fault.overlap);
  return otherBytes + cellBytes == usableBytes || refuse(Fault.space);
}
