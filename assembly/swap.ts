/** The bytes of a number in the other order. WebAssembly has no instruction for it but among those for vectors. */
// @ts-ignore: decorator
@inline
export function swap64(value: u64): u64 {
  const bytes = i64x2.splat(value as i64);
  return i64x2.extract_lane(v128.shuffle<u8>(bytes, bytes, 7, 6, 5, 4, 3, 2, 1, 0, 7, 6, 5, 4, 3, 2, 1, 0), 0) as u64;
}
