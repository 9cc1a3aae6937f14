import {endianness} from 'node:os';
import {decimalsOf, fromDecimals, type Scale, toDecimals} from './decimals.ts';
import {join, join4, join8, split, split4, split8, words} from './number-planes.ts';
import {Scratch} from './scratch.ts';

/**
 * How numbers are rearranged before zstd, so that it compresses them better. In this order: doubles become
 * decimals, each number becomes its difference to the previous one, and bytes are grouped into planes (all
 * first bytes, all second bytes …).
 */
export type Filter = {widthBytes: number; differences: boolean; decimals?: Scale};

/** Length of the filter's header in front of the zstd frame. */
export const filterBytes = 3;

const differencesFlag = 1;
const decimalsFlag = 2;
const multipliedFlag = 4;
const largestWidth = 64;
/** Widths whose numbers can be subtracted. */
const subtractable = new Set([4, 8]);

/** Numbers are read in the machine's byte order, and the format is little-endian. */
const isLittleEndian = endianness() === 'LE';

/** Filters worth trying for numbers of this width. @param sample a part of the bytes to compress */
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
 * @returns false when some of the numbers are not decimals of that scale; the content of `out` is then undefined
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
 * @throws Error with a cause in words on a big-endian machine
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
  if (!isLittleEndian) throw new Error('only little-endian machines can read it');
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

/** @throws Error with a cause in words if the filter is unknown */
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
