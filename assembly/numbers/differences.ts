/*
 * Numbers as differences to the previous one. The sign of a difference moves to its lowest bit, so that small
 * differences of either sign have high bytes of zeros.
 */

export function differences8(numbers: usize, count: u32, out: usize): void {
  let before = i64x2.splat(0);
  for (const end = numbers + (((count as usize) * 8) & ~15); numbers < end; numbers += 16, out += 16) {
    const pair = v128.load(numbers);
    const step = i64x2.sub(pair, v128.shuffle<i64>(before, pair, 1, 2));
    v128.store(out, v128.xor(i64x2.shl(step, 1), i64x2.shr_s(step, 63)));
    before = pair;
  }
  if ((count & 1) == 0) return;
  const step = load<i64>(numbers) - i64x2.extract_lane(before, 1);
  store<i64>(out, (step << 1) ^ (step >> 63));
}

export function differences4(numbers: usize, count: u32, out: usize): void {
  let before = i32x4.splat(0);
  for (const end = numbers + (((count as usize) * 4) & ~15); numbers < end; numbers += 16, out += 16) {
    const four = v128.load(numbers);
    const step = i32x4.sub(four, v128.shuffle<i32>(before, four, 3, 4, 5, 6));
    v128.store(out, v128.xor(i32x4.shl(step, 1), i32x4.shr_s(step, 31)));
    before = four;
  }
  let last = i32x4.extract_lane(before, 3);
  for (let rest = count & 3; rest > 0; rest--, numbers += 4, out += 4) {
    const number = load<i32>(numbers);
    const step = number - last;
    store<i32>(out, (step << 1) ^ (step >> 31));
    last = number;
  }
}

/** The reverse of {@link differences8}, in place. */
export function sums8(numbers: usize, count: u32): void {
  let sum: u64 = 0;
  for (const end = numbers + (count as usize) * 8; numbers < end; numbers += 8) {
    const step = load<u64>(numbers);
    sum += (step >> 1) ^ (0 - (step & 1));
    store<u64>(numbers, sum);
  }
}

/** The reverse of {@link differences4}, in place. */
export function sums4(numbers: usize, count: u32): void {
  let sum: u32 = 0;
  for (const end = numbers + (count as usize) * 4; numbers < end; numbers += 4) {
    const step = load<u32>(numbers);
    sum += (step >> 1) ^ (0 - (step & 1));
    store<u32>(numbers, sum);
  }
}
