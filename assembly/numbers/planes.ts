/*
 * The bytes of numbers in planes: all first bytes, then all second bytes, and so on. Sixteen numbers at a time, because
 * a plane then gets one vector of sixteen bytes. Widths other than 2, 4 and multiples of 8 are moved byte by byte.
 */

/** @param out as long as the numbers */
export function splitPlanes(numbers: usize, count: u32, width: u32, out: usize): void {
  let vectors = count & ~15;
  if (width == 2) split2(numbers, vectors, count, out);
  else if (width == 4) split4(numbers, vectors, count, out);
  else if ((width & 7) == 0) {
    for (let byte: u32 = 0; byte < width; byte += 8) {
      split8(numbers + byte, vectors, width, count, out + (byte as usize) * count);
    }
  } else vectors = 0;
  for (let byte: usize = 0; byte < width; byte++) {
    for (let at: usize = vectors; at < count; at++) {
      store<u8>(out + byte * count + at, load<u8>(numbers + at * width + byte));
    }
  }
}

/** The reverse of {@link splitPlanes}. */
export function joinPlanes(planes: usize, count: u32, width: u32, out: usize): void {
  let vectors = count & ~15;
  if (width == 2) join2(planes, vectors, count, out);
  else if (width == 4) join4(planes, vectors, count, out);
  else if ((width & 7) == 0) {
    for (let byte: u32 = 0; byte < width; byte += 8) {
      join8(planes + (byte as usize) * count, vectors, width, count, out + byte);
    }
  } else vectors = 0;
  for (let byte: usize = 0; byte < width; byte++) {
    for (let at: usize = vectors; at < count; at++) {
      store<u8>(out + at * width + byte, load<u8>(planes + byte * count + at));
    }
  }
}

/** Eight bytes of two neighbours. */
// @ts-ignore: decorator
@inline
function load2(at: usize, stride: usize): v128 {
  return v128.load64_lane(at + stride, v128.load64_zero(at), 1);
}

// @ts-ignore: decorator
@inline
function store2(at: usize, stride: usize, pair: v128): void {
  v128.store64_lane(at, pair, 0);
  v128.store64_lane(at + stride, pair, 1);
}

/** Bytes 0 to 3 of four numbers in two vectors, by byte. */
// @ts-ignore: decorator
@inline
function lowBytes(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27);
}

/** Bytes 4 to 7 of four numbers in two vectors, by byte. */
// @ts-ignore: decorator
@inline
function highBytes(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 4, 12, 20, 28, 5, 13, 21, 29, 6, 14, 22, 30, 7, 15, 23, 31);
}

/** Two numbers of {@link lowBytes} and {@link highBytes}. */
// @ts-ignore: decorator
@inline
function firstPair(low: v128, high: v128): v128 {
  return v128.shuffle<u8>(low, high, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
}

// @ts-ignore: decorator
@inline
function secondPair(low: v128, high: v128): v128 {
  return v128.shuffle<u8>(low, high, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
}

function split8(from: usize, vectors: u32, width: usize, planeBytes: usize, out: usize): void {
  for (let at: u32 = 0; at < vectors; at += 16, from += 16 * width, out += 16) {
    const a = load2(from, width);
    const b = load2(from + 2 * width, width);
    const c = load2(from + 4 * width, width);
    const d = load2(from + 6 * width, width);
    const e = load2(from + 8 * width, width);
    const f = load2(from + 10 * width, width);
    const g = load2(from + 12 * width, width);
    const h = load2(from + 14 * width, width);
    storePlanes4(out, planeBytes, lowBytes(a, b), lowBytes(c, d), lowBytes(e, f), lowBytes(g, h));
    out += 4 * planeBytes;
    storePlanes4(out, planeBytes, highBytes(a, b), highBytes(c, d), highBytes(e, f), highBytes(g, h));
    out -= 4 * planeBytes;
  }
}

function split4(from: usize, vectors: u32, planeBytes: usize, out: usize): void {
  for (let at: u32 = 0; at < vectors; at += 16, from += 64, out += 16) {
    storePlanes4(out, planeBytes, byBytes(from), byBytes(from + 16), byBytes(from + 32), byBytes(from + 48));
  }
}

/** Four numbers of four bytes by byte; the same again is the reverse. */
// @ts-ignore: decorator
@inline
function byBytes(at: usize): v128 {
  return transposed(v128.load(at));
}

// @ts-ignore: decorator
@inline
function transposed(four: v128): v128 {
  return v128.shuffle<u8>(four, four, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

/** @param a four bytes for each of four planes; b, c and d continue them */
// @ts-ignore: decorator
@inline
function storePlanes4(out: usize, planeBytes: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  v128.store(out, v128.shuffle<i64>(ab, cd, 0, 2));
  v128.store(out + planeBytes, v128.shuffle<i64>(ab, cd, 1, 3));
  const ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(out + 2 * planeBytes, v128.shuffle<i64>(ab2, cd2, 0, 2));
  v128.store(out + 3 * planeBytes, v128.shuffle<i64>(ab2, cd2, 1, 3));
}

/** The first and third of four parts of four bytes, and the same of the next four. */
// @ts-ignore: decorator
@inline
function evenFours(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 2, 4, 6);
}

// @ts-ignore: decorator
@inline
function oddFours(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7);
}

/** The first eight bytes of two planes. */
// @ts-ignore: decorator
@inline
function firstHalves(planes: usize, planeBytes: usize): v128 {
  return v128.shuffle<i64>(v128.load(planes), v128.load(planes + planeBytes), 0, 2);
}

// @ts-ignore: decorator
@inline
function secondHalves(planes: usize, planeBytes: usize): v128 {
  return v128.shuffle<i64>(v128.load(planes), v128.load(planes + planeBytes), 1, 3);
}

function join8(planes: usize, vectors: u32, width: usize, planeBytes: usize, out: usize): void {
  for (let at: u32 = 0; at < vectors; at += 16, planes += 16, out += 16 * width) {
    const high = planes + 4 * planeBytes;
    let lowAb = firstHalves(planes, planeBytes);
    let lowCd = firstHalves(planes + 2 * planeBytes, planeBytes);
    let highAb = firstHalves(high, planeBytes);
    let highCd = firstHalves(high + 2 * planeBytes, planeBytes);
    storeFour(out, width, evenFours(lowAb, lowCd), evenFours(highAb, highCd));
    storeFour(out + 4 * width, width, oddFours(lowAb, lowCd), oddFours(highAb, highCd));
    lowAb = secondHalves(planes, planeBytes);
    lowCd = secondHalves(planes + 2 * planeBytes, planeBytes);
    highAb = secondHalves(high, planeBytes);
    highCd = secondHalves(high + 2 * planeBytes, planeBytes);
    storeFour(out + 8 * width, width, evenFours(lowAb, lowCd), evenFours(highAb, highCd));
    storeFour(out + 12 * width, width, oddFours(lowAb, lowCd), oddFours(highAb, highCd));
  }
}

/** Four numbers of {@link lowBytes} and {@link highBytes}. */
// @ts-ignore: decorator
@inline
function storeFour(out: usize, width: usize, low: v128, high: v128): void {
  store2(out, width, firstPair(low, high));
  store2(out + 2 * width, width, secondPair(low, high));
}

function join4(planes: usize, vectors: u32, planeBytes: usize, out: usize): void {
  for (let at: u32 = 0; at < vectors; at += 16, planes += 16, out += 64) {
    let ab = firstHalves(planes, planeBytes);
    let cd = firstHalves(planes + 2 * planeBytes, planeBytes);
    v128.store(out, transposed(evenFours(ab, cd)));
    v128.store(out + 16, transposed(oddFours(ab, cd)));
    ab = secondHalves(planes, planeBytes);
    cd = secondHalves(planes + 2 * planeBytes, planeBytes);
    v128.store(out + 32, transposed(evenFours(ab, cd)));
    v128.store(out + 48, transposed(oddFours(ab, cd)));
  }
}

function split2(from: usize, vectors: u32, planeBytes: usize, out: usize): void {
  for (let at: u32 = 0; at < vectors; at += 16, from += 32, out += 16) {
    const a = v128.load(from);
    const b = v128.load(from + 16);
    v128.store(out, v128.shuffle<u8>(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
    v128.store(out + planeBytes, v128.shuffle<u8>(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
  }
}

function join2(planes: usize, vectors: u32, planeBytes: usize, out: usize): void {
  for (let at: u32 = 0; at < vectors; at += 16, planes += 16, out += 32) {
    const low = v128.load(planes);
    const high = v128.load(planes + planeBytes);
    v128.store(out, v128.shuffle<u8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    v128.store(out + 16, v128.shuffle<u8>(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
  }
}
