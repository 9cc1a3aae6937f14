/** The numbers in a page, which SQLite stores with the most significant byte first. */

// @ts-ignore: decorator
@inline
export function load16(at: usize): u32 {
  return ((load<u8>(at) as u32) << 8) | (load<u8>(at + 1) as u32);
}

// @ts-ignore: decorator
@inline
export function load32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}
