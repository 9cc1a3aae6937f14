import {endianness} from 'node:os';
import {joinBytes, splitBytes} from './byte-planes.ts';
import {decimalsOf, fromDecimals, type Scale, toDecimals} from './decimals.ts';
import {Scratch} from './scratch.ts';

/**
 * How numbers were rearranged before zstd, which finds more then. In this order: doubles as decimals, each number as its
 * difference to the one before, all first bytes, then all second bytes, and so on.
 */
export type Filter = {widthBytes: number; differences: boolean; decimals?: Scale};

/** Bytes of a filter in front of the frame. */
export const filterBytes = 3;

const differencesFlag = 1;
const decimalsFlag = 2;
const multipliedFlag = 4;
const largestWidth = 64;
/** Widths whose numbers can be subtracted. */
const subtractable = new Set([4, 8]);

/** The numbers are read as the machine has them, and the format has them little-endian. */
const isLittleEndian = endianness() === 'LE';

/** What may be worth trying for such numbers; a part of the bytes that are to be compressed is enough. */
export function filtersFor(sample: Uint8Array, widthBytes: number): Filter[] {
  if (!isLittleEndian || widthBytes < 2 || widthBytes > largestWidth || sample.length < 2 * widthBytes) return [];
  const plain = {widthBytes, differences: false};
  if (!subtractable.has(widthBytes)) return [plain];
  const decimals = widthBytes === 8 ? decimalsOf(sample) : undefined;
  const filters = [plain, {widthBytes, differences: true}];
  if (decimals !== undefined) filters.push(...filters.map((filter) => ({...filter, decimals})));
  return filters;
}

const scaled = new Scratch();
const unaligned = new Scratch();

/**
 * @param out as long as `plain`
 * @returns false when some of the numbers are no such decimals; `out` is then worth nothing
 */
export function applyFilter(plain: Uint8Array, {widthBytes, differences, decimals}: Filter, out: Uint8Array): boolean {
  const numbers = decimals === undefined ? plain : scaled.of(plain.length);
  if (decimals !== undefined && !toDecimals(plain, decimals, numbers)) return false;
  const count = Math.floor(plain.length / widthBytes);
  if (widthBytes === 8) split8(out, words(numbers), count, differences);
  else if (widthBytes === 4) split4(out, words(numbers), count, differences);
  else split(out, numbers, count, widthBytes);
  out.set(numbers.subarray(count * widthBytes), count * widthBytes);
  return true;
}

/**
 * The reverse of `applyFilter`.
 * @param out as long as `filtered`
 * @throws Error in words, on a machine that cannot
 */
export function undoFilter(filtered: Uint8Array, filter: Filter, out: Uint8Array): void {
  if (out.byteOffset % 8 === 0) {
    undoInto(filtered, filter, out);
    return;
  }
  const numbers = unaligned.of(out.length);
  undoInto(filtered, filter, numbers);
  out.set(numbers);
}

function undoInto(filtered: Uint8Array, {widthBytes, differences, decimals}: Filter, out: Uint8Array): void {
  if (!isLittleEndian) throw new Error('it can be read on little-endian machines only');
  const count = Math.floor(filtered.length / widthBytes);
  if (widthBytes === 8) join8(words(out), filtered, count, differences);
  else if (widthBytes === 4) join4(words(out), filtered, count, differences);
  else join(out, filtered, count, widthBytes);
  out.set(filtered.subarray(count * widthBytes), count * widthBytes);
  if (decimals !== undefined) fromDecimals(out, decimals);
}

export function filterHeader({widthBytes, differences, decimals}: Filter): Uint8Array {
  const flags =
    (differences ? differencesFlag : 0) +
    (decimals === undefined ? 0 : decimalsFlag) +
    (decimals?.multiplied ? multipliedFlag : 0);
  return Uint8Array.of(widthBytes, flags, decimals?.exponent ?? 0);
}

/** @throws Error in words, when there is no such filter */
export function readFilterHeader(stored: Uint8Array): Filter {
  const [widthBytes = 0, flags = 0, exponent = 0] = stored;
  const [differences, isDecimal] = [(flags & differencesFlag) !== 0, (flags & decimalsFlag) !== 0];
  const isKnown =
    stored.length > filterBytes &&
    widthBytes >= 2 &&
    widthBytes <= largestWidth &&
    (flags & ~(differencesFlag | decimalsFlag | multipliedFlag)) === 0 &&
    (!differences || subtractable.has(widthBytes)) &&
    (!isDecimal || (widthBytes === 8 && exponent < 16));
  if (!isKnown) throw new Error('its filter is unknown');
  const filter = {widthBytes, differences};
  return isDecimal ? {...filter, decimals: {exponent, multiplied: (flags & multipliedFlag) !== 0}} : filter;
}

/** Two halves a number of eight bytes. */
function words(bytes: Uint8Array): Int32Array {
  const whole = bytes.length & ~3;
  if (bytes.byteOffset % 4 === 0) return new Int32Array(bytes.buffer, bytes.byteOffset, whole >> 2);
  return new Int32Array(Uint8Array.prototype.slice.call(bytes, 0, whole).buffer);
}

/** Numbers of eight bytes as their lower and their upper halves. */
const lowers = new Scratch();
const uppers = new Scratch();

/** Differences have their sign in the lowest bit, so that small ones, up or down, have high bytes of zeros. */
function split8(out: Uint8Array, numbers: Int32Array, count: number, differences: boolean): void {
  const [lows, highs] = [lowers.words(count), uppers.words(count)];
  if (!differences) {
    for (let at = 0; at < count; at++) {
      lows[at] = numbers[2 * at]!;
      highs[at] = numbers[2 * at + 1]!;
    }
  } else {
    let [lowBefore, highBefore] = [0, 0];
    for (let at = 0; at < count; at++) {
      const low = numbers[2 * at]!;
      const high = numbers[2 * at + 1]!;
      const lowStep = (low - lowBefore) | 0;
      const highStep = (high - highBefore - (low >>> 0 < lowBefore >>> 0 ? 1 : 0)) | 0;
      const sign = highStep >> 31;
      lows[at] = (lowStep << 1) ^ sign;
      highs[at] = ((highStep << 1) | (lowStep >>> 31)) ^ sign;
      lowBefore = low;
      highBefore = high;
    }
  }
  splitBytes(lows, out.subarray(0, 4 * count));
  splitBytes(highs, out.subarray(4 * count, 8 * count));
}

function join8(numbers: Int32Array, bytes: Uint8Array, count: number, differences: boolean): void {
  const [lows, highs] = [lowers.words(count), uppers.words(count)];
  joinBytes(bytes.subarray(0, 4 * count), lows);
  joinBytes(bytes.subarray(4 * count, 8 * count), highs);
  let [lowBefore, highBefore] = [0, 0];
  for (let at = 0; at < count; at++) {
    let low = lows[at]!;
    let high = highs[at]!;
    if (differences) {
      const sign = -(low & 1);
      const lowStep = ((low >>> 1) | (high << 31)) ^ sign;
      const sum = (lowStep >>> 0) + (lowBefore >>> 0);
      high = (((high >>> 1) ^ sign) + highBefore + (sum > 0xffffffff ? 1 : 0)) | 0;
      low = sum | 0;
      lowBefore = low;
      highBefore = high;
    }
    numbers[2 * at] = low;
    numbers[2 * at + 1] = high;
  }
}

function split4(out: Uint8Array, numbers: Int32Array, count: number, differences: boolean): void {
  let values = numbers.subarray(0, count);
  if (differences) {
    values = lowers.words(count);
    let before = 0;
    for (let at = 0; at < count; at++) {
      const step = (numbers[at]! - before) | 0;
      before = numbers[at]!;
      values[at] = (step << 1) ^ (step >> 31);
    }
  }
  splitBytes(values, out.subarray(0, 4 * count));
}

function join4(numbers: Int32Array, bytes: Uint8Array, count: number, differences: boolean): void {
  const values = numbers.subarray(0, count);
  joinBytes(bytes.subarray(0, 4 * count), values);
  if (!differences) return;
  let before = 0;
  for (let at = 0; at < count; at++) {
    before = (before + ((values[at]! >>> 1) ^ -(values[at]! & 1))) | 0;
    values[at] = before;
  }
}

function split(out: Uint8Array, numbers: Uint8Array, count: number, widthBytes: number): void {
  for (let place = 0, to = 0; place < widthBytes; place++) {
    for (let from = place, end = count * widthBytes; from < end; from += widthBytes) out[to++] = numbers[from]!;
  }
}

function join(numbers: Uint8Array, bytes: Uint8Array, count: number, widthBytes: number): void {
  for (let place = 0, from = 0; place < widthBytes; place++) {
    for (let to = place, end = count * widthBytes; to < end; to += widthBytes) numbers[to] = bytes[from++]!;
  }
}
