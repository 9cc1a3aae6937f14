/** Blocks of records that have equally many columns, which are split or joined column by column. */

/** At most so many records are in a block. */
export const blockRecords: u32 = 64;

/** 16 bytes of ones, then as many zeros: a mask for n bytes begins n bytes before the zeros. */
const masks: usize = memory.data<u64>([u64.MAX_VALUE, u64.MAX_VALUE, 0, 0], 16);
export const masksEnd: usize = masks + 16;

/**
 * How many records, of which the first has its number of columns at `counts`, have as many.
 * @param most not 0
 */
export function blockSize(counts: usize, most: u32): u32 {
  const limit = most < blockRecords ? most : blockRecords;
  const count = load<u8>(counts);
  let size: u32 = 1;
  while (size < limit && load<u8>(counts + size) == count) size++;
  return size;
}

/** Of the last {@link scan}: whether all bytes are equal, and the largest one. */
export let isUniform: bool = false;
export let largest: u32 = 0;

/** Looks at serial types of one byte each, or at first bytes of longer ones. Reads up to 15 bytes beyond them. */
export function scan(at: usize, bytes: u32): void {
  const first = v128.splat<u8>(load<u8>(at));
  let most = v128.splat<u8>(0);
  let differing = v128.splat<u8>(0);
  for (let k: u32 = 0; k < bytes; k += 16) {
    const left = bytes - k;
    const mask = v128.load(masksEnd - (left < 16 ? left : 16));
    const part = v128.load(at + k);
    most = v128.max<u8>(most, v128.and(part, mask));
    differing = v128.or(differing, v128.and(v128.xor(part, first), mask));
  }
  isUniform = !v128.any_true(differing);
  largest = largestOf(most);
}

// @ts-ignore: decorator
@inline
function largestOf(bytes: v128): u32 {
  let most = v128.max<u8>(bytes, v128.shuffle<u64>(bytes, bytes, 1, 0));
  most = v128.max<u8>(most, v128.shuffle<u32>(most, most, 1, 0, 3, 2));
  most = v128.max<u8>(most, v128.shuffle<u16>(most, most, 1, 0, 3, 2, 5, 4, 7, 6));
  const pair: u32 = v128.extract_lane<u16>(most, 0);
  return pair >> 8 > (pair & 0xff) ? pair >> 8 : pair & 0xff;
}
