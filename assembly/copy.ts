/** Copies bytes that do not overlap, mostly few of them. Neither reads nor writes beyond them. */
// @ts-ignore: decorator
@inline
export function copyBytes(to: usize, from: usize, bytes: u32): void {
  if (bytes > 256) memory.copy(to, from, bytes);
  else if (bytes >= 16) copyBlocks(to, from, bytes);
  else copyFew(to, from, bytes);
}

function copyBlocks(to: usize, from: usize, bytes: u32): void {
  for (let i: u32 = 16; i <= bytes; i += 16) v128.store(to + i - 16, v128.load(from + i - 16));
  // The last 16 bytes, some of them for the second time.
  v128.store(to + bytes - 16, v128.load(from + bytes - 16));
}

function copyFew(to: usize, from: usize, bytes: u32): void {
  if (bytes >= 8) {
    store<u64>(to, load<u64>(from));
    store<u64>(to + bytes - 8, load<u64>(from + bytes - 8));
  } else if (bytes >= 4) {
    store<u32>(to, load<u32>(from));
    store<u32>(to + bytes - 4, load<u32>(from + bytes - 4));
  } else {
    for (let i: u32 = 0; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
  }
}
