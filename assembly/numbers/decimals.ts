/*
 * Doubles as whole numbers of eight bytes: a double is a whole number divided by 10 to the exponent, as most parsers do
 * it, or multiplied by the inverse of that. The two may differ in the last bit.
 */

// Constants, because computed powers may differ between machines in their last bit.
const powers: usize = memory.data<f64>([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
]);
const inverses: usize = memory.data<f64>([
  1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
]);

/** With more digits there is nothing to gain. */
const largestExponent: u32 = 8;

/** Larger whole numbers may not be distinguishable from their neighbours. */
const limit: f64 = 2251799813685248;

/** The NaN that programs write, and the whole number that represents it, which is beyond the limit. */
const nan: i64 = 0x7ff8000000000000;
const absent: i64 = i64.MIN_VALUE;

/** 1.5 · 2^52: added to a whole number below the limit, it leaves the number in the lowest bits. */
const whole: f64 = 6755399441055744;

/**
 * The first scale at which all of these doubles are whole numbers: twice the exponent, plus 1 if it is by
 * multiplication; -1 if there is none.
 */
export function scaleOf(doubles: usize, count: u32, out: usize): i32 {
  for (let exponent: u32 = 0; exponent <= largestExponent; exponent++) {
    if (toDecimals(doubles, count, exponent, false, out)) return 2 * exponent;
    if (toDecimals(doubles, count, exponent, true, out)) return 2 * exponent + 1;
  }
  return -1;
}

/** @returns false when one of them would not convert back bit for bit; what is written then means nothing */
export function toDecimals(doubles: usize, count: u32, exponent: u32, multiplied: bool, out: usize): bool {
  const power = f64x2.splat(load<f64>(powers + 8 * (exponent as usize)));
  const inverse = f64x2.splat(load<f64>(inverses + 8 * (exponent as usize)));
  for (const end = doubles + (((count as usize) * 8) & ~15); doubles < end; doubles += 16, out += 16) {
    const values = v128.load(doubles);
    const wholes = wholesOf(values, power);
    const back = multiplied ? f64x2.mul(wholes, inverse) : f64x2.div(wholes, power);
    if (!areExact(values, wholes, back)) return false;
    v128.store(out, integersOf(values, wholes));
  }
  if ((count & 1) == 0) return true;
  const values = v128.load64_splat(doubles);
  const wholes = wholesOf(values, power);
  store<i64>(out, i64x2.extract_lane(integersOf(values, wholes), 0));
  return areExact(values, wholes, multiplied ? f64x2.mul(wholes, inverse) : f64x2.div(wholes, power));
}

/** −0 becomes 0, which does not convert back to it. */
// @ts-ignore: decorator
@inline
function wholesOf(doubles: v128, power: v128): v128 {
  return f64x2.add(f64x2.nearest(f64x2.mul(doubles, power)), f64x2.splat(0));
}

/** @param back the whole numbers, converted back */
// @ts-ignore: decorator
@inline
function areExact(doubles: v128, wholes: v128, back: v128): bool {
  const isSame = v128.and(i64x2.eq(back, doubles), f64x2.lt(f64x2.abs(wholes), f64x2.splat(limit)));
  return i64x2.all_true(v128.or(isSame, i64x2.eq(doubles, i64x2.splat(nan))));
}

// @ts-ignore: decorator
@inline
function integersOf(doubles: v128, wholes: v128): v128 {
  const integers = i64x2.sub(f64x2.add(wholes, f64x2.splat(whole)), i64x2.splat(reinterpret<i64>(whole)));
  return v128.bitselect(i64x2.splat(absent), integers, i64x2.eq(doubles, i64x2.splat(nan)));
}

/** The reverse of {@link toDecimals}, in place. */
export function fromDecimals(numbers: usize, count: u32, exponent: u32, multiplied: bool): void {
  const power = f64x2.splat(load<f64>(powers + 8 * (exponent as usize)));
  const inverse = f64x2.splat(load<f64>(inverses + 8 * (exponent as usize)));
  for (const end = numbers + (((count as usize) * 8) & ~15); numbers < end; numbers += 16) {
    const integers = v128.load(numbers);
    const wholes = fromIntegers(integers);
    const doubles = multiplied ? f64x2.mul(wholes, inverse) : f64x2.div(wholes, power);
    v128.store(numbers, withAbsent(integers, doubles));
  }
  if ((count & 1) == 0) return;
  const integers = v128.load64_splat(numbers);
  const wholes = fromIntegers(integers);
  const doubles = multiplied ? f64x2.mul(wholes, inverse) : f64x2.div(wholes, power);
  v128.store64_lane(numbers, withAbsent(integers, doubles), 0);
}

/** Beyond the limit, where only damaged chunks have numbers, the result means nothing. */
// @ts-ignore: decorator
@inline
function fromIntegers(integers: v128): v128 {
  return f64x2.sub(i64x2.add(integers, i64x2.splat(reinterpret<i64>(whole))), f64x2.splat(whole));
}

// @ts-ignore: decorator
@inline
function withAbsent(integers: v128, doubles: v128): v128 {
  return v128.bitselect(i64x2.splat(nan), doubles, i64x2.eq(integers, i64x2.splat(absent)));
}
