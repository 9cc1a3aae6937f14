/** What the hashes of rows are made of (docs/format.md, "Content"). */

export const lowSeed: u64 = 0x2d358dccaa6c78a5;
export const highSeed: u64 = 0x8bb84b93962eacc9;
export const tagText: u64 = 0x8cb92ba72f3d8dd7;

/** A mask of the first bytes of a word, at least one. */
// @ts-ignore: decorator
@inline
export function firstBytes(bytes: u64): u64 {
  return bytes >= 8 ? u64.MAX_VALUE : ((1 as u64) << (8 * bytes)) - 1;
}

/** A bijection of the word and of what was mixed before: so is {@link mixHigh}. */
// @ts-ignore: decorator
@inline
export function mixLow(low: u64, word: u64): u64 {
  const mixed = (low ^ word) * 0x9e3779b97f4a7c15;
  return mixed ^ (mixed >> 32);
}

// @ts-ignore: decorator
@inline
export function mixHigh(high: u64, word: u64): u64 {
  const mixed = (rotl<u64>(high, 27) + word) * 0xd6e8feb86659fd93;
  return mixed ^ (mixed >> 29);
}

/** The finalizer of MurmurHash3. */
// @ts-ignore: decorator
@inline
export function finished(value: u64): u64 {
  let hash = value;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}
