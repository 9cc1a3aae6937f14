import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {
  applyFilter,
  type Filter,
  filterHeader,
  filtersFor,
  readFilterHeader,
  undoFilter,
} from '../../src/vault/filter.ts';

const undone = (filtered: Uint8Array, filter: Filter): Buffer => {
  const out = Buffer.alloc(filtered.length);
  undoFilter(filtered, filter, out);
  return out;
};

const doubles = (...values: number[]) => Buffer.from(Float64Array.from(values).buffer);

/** Numbers as databases have them: any bytes, prices, absent values, and what is nearly a decimal. */
const column = fc.oneof(
  fc.uint8Array({maxLength: 400}).map((bytes) => Buffer.from(bytes)),
  fc.array(fc.double(), {maxLength: 50}).map((values) => doubles(...values)),
  fc
    .record({
      places: fc.nat(8),
      isDivided: fc.boolean(),
      wholes: fc.array(fc.oneof(fc.integer(), fc.constant(Number.NaN), fc.constant(-0), fc.constant(2 ** 52)), {
        maxLength: 50,
      }),
    })
    .map(({places, isDivided, wholes}) =>
      doubles(...wholes.map((whole) => (isDivided ? whole / 10 ** places : whole * Number(`1e-${places}`)))),
    ),
);

test('what a filter arranged comes back bit for bit, wherever it lies in memory', () => {
  fc.assert(
    fc.property(
      column,
      fc.integer({min: 1, max: 65}),
      fc.nat(9),
      fc.uint8Array({maxLength: 7}),
      (bytes, width, at, tail) => {
        const whole = Buffer.concat([Buffer.alloc(at), bytes, tail]);
        const plain = new Uint8Array(new Uint8Array(whole).buffer, at);
        for (const widthBytes of [width, 2, 4, 8, 16]) {
          for (const filter of filtersFor(plain, widthBytes)) {
            const out = Buffer.alloc(plain.length);
            expect(applyFilter(plain, filter, out)).toBe(true);
            const read = readFilterHeader(Buffer.concat([filterHeader(filter), Buffer.of(1)]));
            expect(read).toEqual(filter);
            expect(undone(out, read).equals(plain)).toBe(true);
          }
        }
      },
    ),
    {numRuns: 300},
  );
});

describe('decimals', () => {
  const parsed = doubles(148.03, 148.2, -0.05, 0, 1e6, Number.NaN);
  const ofFilters = (bytes: Uint8Array) => filtersFor(bytes, 8).flatMap(({decimals}) => decimals ?? [])[0];

  test('are found as parsers make them, and as rounding does', () => {
    expect(ofFilters(parsed)).toEqual({exponent: 2, multiplied: false});
    expect(ofFilters(doubles(14803 * 0.01, 14820 * 0.01))).toEqual({exponent: 2, multiplied: true});
  });

  test.each([
    ['-0', doubles(1.5, -0)],
    ['another NaN', Buffer.concat([parsed, Buffer.from('010000000000f87f', 'hex')])],
    ['infinity', doubles(1.5, Number.POSITIVE_INFINITY)],
    ['many digits', doubles(1.5, Math.PI)],
    ['large numbers', doubles(1.5, 2 ** 53)],
  ])('are not, with %s', (_, bytes) => {
    expect(ofFilters(bytes)).toBeUndefined();
    const filter = {widthBytes: 8, differences: false, decimals: {exponent: 2, multiplied: false}};
    expect(applyFilter(bytes, filter, Buffer.alloc(bytes.length))).toBe(false);
  });
});

test.each([
  ['width 1', [1, 0, 0]],
  ['width 65', [65, 0, 0]],
  ['differences of 16 bytes', [16, 1, 0]],
  ['decimals of 4 bytes', [4, 2, 2]],
  ['an exponent beyond all', [8, 2, 16]],
  ['a flag of later', [8, 8, 0]],
  ['nothing behind it', []],
])('a header with %s is refused', (_, header) => {
  expect(() => readFilterHeader(Buffer.from([...header, ...(header.length === 0 ? [] : [0])]))).toThrow(
    'filter is unknown',
  );
});
