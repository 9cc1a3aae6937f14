import {Scratch} from './scratch.ts';

/**
 * A double is a whole number divided by 10 to the exponent, as most parsers do it, or multiplied by the inverse
 * of that (`multiplied`). The two may differ in the last bit.
 */
export type Scale = {exponent: number; multiplied: boolean};

// Constants, because computed powers may differ between machines in their last bit.
const powers = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const inverses = [1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15];
/** With more digits there is nothing to gain. */
const largestExponent = 8;

/** Larger whole numbers may not be distinguishable from their neighbours. */
const limit = 2 ** 51;
const twoTo32 = 2 ** 32;

/**
 * The NaN that programs write, as two 32-bit halves, and the whole number that represents it, which is beyond
 * the limit.
 */
const [nanLow, nanHigh] = [0, 0x7ff80000];
const [absentLow, absentHigh] = [0, 0x80000000 | 0];

const tried = new Scratch();

/** A scale at which all of these doubles are whole numbers; undefined if there is none. */
export function decimalsOf(doubles: Uint8Array): Scale | undefined {
  for (let exponent = 0; exponent <= largestExponent; exponent++) {
    for (const multiplied of [false, true]) {
      if (toDecimals(doubles, {exponent, multiplied}, tried.of(doubles.length))) return {exponent, multiplied};
    }
  }
  return undefined;
}

/**
 * Converts doubles to whole numbers of eight bytes.
 * @param out as long as `bytes`, aligned to eight bytes
 * @returns false when one of them would not convert back bit for bit
 */
export function toDecimals(bytes: Uint8Array, {exponent, multiplied}: Scale, out: Uint8Array): boolean {
  out.set(bytes);
  const count = Math.floor(out.length / 8);
  const doubles = new Float64Array(out.buffer, out.byteOffset, count);
  const halves = new Int32Array(out.buffer, out.byteOffset, 2 * count);
  const [power, inverse] = [powers[exponent]!, inverses[exponent]!];
  for (let at = 0; at < count; at++) {
    const value = doubles[at]!;
    const whole = Math.round(value * power);
    const back = multiplied ? whole * inverse : whole / power;
    // -0 would convert back to 0, and a comparison does not distinguish them.
    const isZero = whole === 0 && (halves[2 * at] !== 0 || halves[2 * at + 1] !== 0);
    if (back === value && !isZero && whole < limit && whole > -limit) {
      const high = Math.floor(whole / twoTo32);
      halves[2 * at] = whole - high * twoTo32;
      halves[2 * at + 1] = high;
    } else if (halves[2 * at] === nanLow && halves[2 * at + 1] === nanHigh) {
      halves[2 * at] = absentLow;
      halves[2 * at + 1] = absentHigh;
    } else {
      return false;
    }
  }
  return true;
}

/** The reverse of {@link toDecimals}, in place. @param bytes aligned to eight bytes */
export function fromDecimals(bytes: Uint8Array, {exponent, multiplied}: Scale): void {
  const count = Math.floor(bytes.length / 8);
  const doubles = new Float64Array(bytes.buffer, bytes.byteOffset, count);
  const halves = new Int32Array(bytes.buffer, bytes.byteOffset, 2 * count);
  const [power, inverse] = [powers[exponent]!, inverses[exponent]!];
  for (let at = 0; at < count; at++) {
    const low = halves[2 * at]!;
    const high = halves[2 * at + 1]!;
    if (low === absentLow && high === absentHigh) {
      halves[2 * at] = nanLow;
      halves[2 * at + 1] = nanHigh;
      continue;
    }
    const whole = high * twoTo32 + (low >>> 0);
    doubles[at] = multiplied ? whole * inverse : whole / power;
  }
}
