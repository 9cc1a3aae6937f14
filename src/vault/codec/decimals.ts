import {Scratch} from './scratch.ts';

/** A double is a whole number over 10 to the exponent: divided by it as most parsers do, or multiplied with its inverse. */
export type Scale = {exponent: number; multiplied: boolean};

// Written out, because powers that are computed may differ from machine to machine in their last bit.
const powers = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const inverses = [1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15];
/** More digits leave nothing to gain. */
const largestExponent = 8;

/** Whole numbers beyond it are no longer told apart from their neighbours. */
const limit = 2 ** 51;
const twoTo32 = 2 ** 32;

/** The one NaN that programs write, as two halves; and the whole number that stands for it, which is beyond the limit. */
const [nanLow, nanHigh] = [0, 0x7ff80000];
const [absentLow, absentHigh] = [0, 0x80000000 | 0];

const tried = new Scratch();

/** A scale at which all these doubles are whole numbers; undefined when there is none. */
export function decimalsOf(doubles: Uint8Array): Scale | undefined {
  for (let exponent = 0; exponent <= largestExponent; exponent++) {
    for (const multiplied of [false, true]) {
      if (toDecimals(doubles, {exponent, multiplied}, tried.of(doubles.length))) return {exponent, multiplied};
    }
  }
  return undefined;
}

/**
 * Doubles as whole numbers of eight bytes.
 * @param out as long as `bytes`, and begins at a multiple of eight bytes of its memory
 * @returns false when one of them would not come back bit for bit
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
    // -0 would come back as 0, and no comparison tells them apart.
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

/** The reverse, in place. @param bytes begin at a multiple of eight bytes of their memory */
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
