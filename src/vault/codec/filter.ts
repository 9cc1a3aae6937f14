import {type Filter, NumberFilters} from './numbers/numbers.ts';

export type {Filter} from './numbers/numbers.ts';

/** Length of the filter's header in front of the zstd frame. */
export const filterBytes = 3;

const differencesFlag = 1;
const decimalsFlag = 2;
const multipliedFlag = 4;
const largestWidth = 64;
/** Widths whose numbers can be subtracted. */
const subtractable = new Set([4, 8]);

let numbers: NumberFilters | undefined;
const numberFilters = () => {
  numbers ??= new NumberFilters();
  return numbers;
};

/** Filters worth trying for numbers of this width. @param sample a part of the bytes to compress */
export function filtersFor(sample: Uint8Array, widthBytes: number): Filter[] {
  if (widthBytes < 2 || widthBytes > largestWidth || sample.length < 2 * widthBytes) return [];
  const plain = {widthBytes, differences: false};
  if (!subtractable.has(widthBytes)) return [plain];
  const decimals = widthBytes === 8 ? numberFilters().scaleOf(sample) : undefined;
  const filters = [plain, {widthBytes, differences: true}];
  if (decimals !== undefined) filters.push(...filters.map((filter) => ({...filter, decimals})));
  return filters;
}

/**
 * @returns as many bytes, in memory that the next call uses again; undefined when some of the numbers are not decimals
 *   of that scale
 */
export function applyFilter(plain: Uint8Array, filter: Filter): Uint8Array | undefined {
  return numberFilters().apply(plain, filter);
}

/** The reverse of `applyFilter`. @returns in memory that the next call uses again */
export function undoFilter(filtered: Uint8Array, filter: Filter): Uint8Array {
  return numberFilters().undo(filtered, filter);
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
