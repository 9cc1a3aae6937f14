import {describe, expect, test} from 'vitest';
import {decodeChunk} from '../../../src/vault/codec/decode.ts';
import {ChunkEncoder} from '../../../src/vault/codec/encode.ts';
import {
  applyFilter,
  type Filter,
  filterBytes,
  filterHeader,
  filtersFor,
  readFilterHeader,
  undoFilter,
} from '../../../src/vault/codec/filter.ts';
import type {Scale} from '../../../src/vault/codec/numbers/numbers.ts';
import {chunkEncodings} from '../../../src/vault/format/entry.ts';
import {chunkId} from '../../../src/vault/format/hash.ts';
import fc from '../../seeds/fast-check.ts';
import {noise} from '../helpers.ts';

/** As the format defines it, number by number. */
function asDefined(plain: Uint8Array, {widthBytes, differences, decimals}: Filter): Buffer {
  const out = Buffer.from(plain);
  const count = Math.floor(plain.length / widthBytes);
  const bits = 8 * widthBytes;
  let before = 0n;
  for (let at = 0; at < count; at++) {
    const bytes = plain.subarray(at * widthBytes, (at + 1) * widthBytes);
    let number = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    if (decimals !== undefined) number = decimalOf(Buffer.from(bytes).readDoubleLE(), decimals);
    if (differences) {
      const step = BigInt.asIntN(bits, number - before);
      before = number;
      number = BigInt.asUintN(bits, (step << 1n) ^ (step < 0n ? -1n : 0n));
    }
    for (let byte = 0; byte < widthBytes; byte++) {
      out[byte * count + at] = Number(BigInt.asUintN(8, number >> BigInt(8 * byte)));
    }
  }
  return out;
}

const decimalOf = (value: number, {exponent, multiplied}: Scale): bigint => {
  if (Number.isNaN(value)) return -(2n ** 63n);
  const whole = Math.round(value * 10 ** exponent);
  expect(multiplied ? whole * Number(`1e-${exponent}`) : whole / 10 ** exponent).toBe(value);
  return BigInt(whole);
};

const doubles = (...values: number[]) => Buffer.from(Float64Array.from(values).buffer);

/** Columns as databases have them: any bytes, prices, NaN for absent values, and near-decimals. */
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

test('a filter rearranges numbers as the format defines, and undoing it restores every bit', () => {
  fc.assert(
    fc.property(
      column,
      fc.integer({min: 1, max: 65}),
      fc.nat(9),
      fc.uint8Array({maxLength: 7}),
      (bytes, width, at, tail) => {
        const whole = Buffer.concat([Buffer.alloc(at), bytes, tail]);
        const plain = new Uint8Array(new Uint8Array(whole).buffer, at);
        for (const widthBytes of [width, 2, 4, 8, 16, 24, 32]) {
          for (const filter of filtersFor(plain, widthBytes)) {
            const filtered = Buffer.from(applyFilter(plain, filter)!);
            expect(filtered.equals(asDefined(plain, filter))).toBe(true);
            const read = readFilterHeader(Buffer.concat([filterHeader(filter), Buffer.of(1)]));
            expect(read).toEqual(filter);
            expect(Buffer.from(undoFilter(filtered, read)).equals(plain)).toBe(true);
          }
        }
      },
    ),
    {numRuns: 300},
  );
});

describe('doubles', () => {
  const parsed = doubles(148.03, 148.2, -0.05, 0, 1e6, Number.NaN);
  const ofFilters = (bytes: Uint8Array) => filtersFor(bytes, 8).flatMap(({decimals}) => decimals ?? [])[0];

  test('are recognised as decimals, both as parsers and as multiplications produce them', () => {
    expect(ofFilters(parsed)).toEqual({exponent: 2, multiplied: false});
    expect(ofFilters(doubles(14803 * 0.01, 14820 * 0.01))).toEqual({exponent: 2, multiplied: true});
  });

  test.each([
    ['-0', doubles(1.5, -0)],
    ['another NaN', Buffer.concat([parsed, Buffer.from('010000000000f87f', 'hex')])],
    ['infinity', doubles(1.5, Number.POSITIVE_INFINITY)],
    ['many digits', doubles(1.5, Math.PI)],
    ['large numbers', doubles(1.5, 2 ** 53)],
  ])('with %s are not treated as decimals', (_, bytes) => {
    expect(ofFilters(bytes)).toBeUndefined();
    const filter = {widthBytes: 8, differences: false, decimals: {exponent: 2, multiplied: false}};
    expect(applyFilter(bytes, filter)).toBeUndefined();
  });
});

test.each([
  ['width 1', [1, 0, 0]],
  ['width 65', [65, 0, 0]],
  ['differences of 16 bytes', [16, 1, 0]],
  ['decimals of 4 bytes', [4, 2, 2]],
  ['an exponent that is too large', [8, 2, 16]],
  ['an unknown flag', [8, 8, 0]],
  ['no frame after it', []],
])('a header with %s is refused', (_, header) => {
  expect(() => readFilterHeader(Buffer.from([...header, ...(header.length === 0 ? [] : [0])]))).toThrow(
    'filter is unknown',
  );
});

describe('the encoder', () => {
  const rows = 4096;
  const prices = (seed: number) => {
    const random = noise(rows * 2, seed);
    return doubles(...Array.from({length: rows}, (_, row) => (10_000 + random.readUInt16LE(row * 2)) / 100));
  };
  const encode = (encoder: ChunkEncoder, plain: Uint8Array, number: number) => {
    const id = chunkId(plain);
    const encoded = encoder.encode({id, plain, column: {number, widthBytes: 8}});
    return {...encoded, id, plainBytes: plain.length};
  };

  test('stores a column of prices in little more than their digits', async () => {
    const encoder = new ChunkEncoder(1);
    for (const seed of [1, 2]) {
      const plain = prices(seed);
      const {stored, ...chunk} = encode(encoder, plain, 1);
      expect(chunk.encoding).toBe(chunkEncodings.zstdOfFiltered);
      expect(stored.length).toBeLessThan(plain.length * 0.3);
      expect(Buffer.from(await decodeChunk(chunk, stored)).equals(plain)).toBe(true);
    }
  });

  test('chooses another filter when later numbers of a column are not decimals of the same scale', async () => {
    const encoder = new ChunkEncoder(1);
    encode(encoder, prices(1), 1);
    for (const plain of [doubles(...Array.from({length: rows}, (_, row) => row / 3)), noise(rows * 8, 3), prices(2)]) {
      const {stored, ...chunk} = encode(encoder, plain, 1);
      expect(Buffer.from(await decodeChunk(chunk, stored)).equals(plain)).toBe(true);
    }
  });

  test('applies no filter where plain zstd compresses better', () => {
    const text = Buffer.alloc(rows * 8, 'the same words again and again, ');
    expect(encode(new ChunkEncoder(1), text, 1).encoding).toBe(chunkEncodings.zstd);
    expect(encode(new ChunkEncoder(1), noise(rows * 8, 5), 1).encoding).toBe(chunkEncodings.plain);
  });

  test('refuses a chunk that does not match its id, as after a memory fault', () => {
    const plain = prices(1);
    const faulty = {id: chunkId(prices(2)), plain, column: {number: 1, widthBytes: 8}};
    expect(() => new ChunkEncoder(1).encode(faulty)).toThrow('its hash is not its id');
  });

  test.each(['header', 'frame'])('fails to decode a chunk with a wrong bit in the %s', async (where) => {
    const {stored, ...chunk} = encode(new ChunkEncoder(1), prices(1), 1);
    for (let bit = 0; bit < 24; bit++) {
      const wrong = Buffer.from(stored);
      wrong[(where === 'header' ? 0 : filterBytes + 40) + (bit >> 3)]! ^= 1 << (bit & 7);
      await expect(decodeChunk(chunk, wrong)).rejects.toThrow();
    }
  });
});
