import type {RecordKind} from '../../../src/vault/codec/columns/columns.ts';
import fc from '../../seeds/fast-check.ts';

// Records as SQLite's b-trees hold them: https://www.sqlite.org/fileformat2.html#record_format

export type Value = null | bigint | number | string | Uint8Array;
/** `rowid` is written with kind `rowid` only. */
export type RecordValues = {rowid: bigint; values: readonly Value[]};

/** The shortest form of a number of 64 bits. */
export function varint(value: bigint): number[] {
  const unsigned = BigInt.asUintN(64, value);
  if (unsigned >> 56n !== 0n) {
    const bytes = [Number(unsigned & 0xffn)];
    for (let rest = unsigned >> 8n; bytes.length < 9; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80);
    return bytes;
  }
  const bytes = [Number(unsigned & 0x7fn)];
  for (let rest = unsigned >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80);
  return bytes;
}

const widths: [number, number][] = [
  [1, 1],
  [2, 2],
  [3, 3],
  [4, 4],
  [5, 6],
  [6, 8],
];

type Serial = {type: number; bytes: Uint8Array};

function serial(value: Value): Serial {
  if (value === null) return {type: 0, bytes: Buffer.alloc(0)};
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return {type: 7, bytes};
  }
  if (typeof value === 'bigint') {
    if (value === 0n || value === 1n) return {type: 8 + Number(value), bytes: Buffer.alloc(0)};
    const [type, width] = widths.find(([, bytes]) => BigInt.asIntN(8 * bytes, value) === value)!;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return {type, bytes: bytes.subarray(8 - width)};
  }
  if (typeof value === 'string') return {type: 13 + 2 * Buffer.byteLength(value), bytes: Buffer.from(value)};
  return {type: 12 + 2 * value.length, bytes: value};
}

const typesOf = (values: readonly Value[]) => values.flatMap((value) => varint(BigInt(serial(value).type)));

/** Bytes of the record's header, which begins with its own length. */
function headerOf(values: readonly Value[]): number[] {
  const types = typesOf(values);
  return types.length < 127 ? [types.length + 1, ...types] : [...varint(BigInt(types.length + 2)), ...types];
}

export const hasLongHeader = (values: readonly Value[]) => headerOf(values).length > 127;

/** The bytes of a chunk of records. */
export function recordsOf(rows: readonly RecordValues[], kind: RecordKind): Buffer {
  return Buffer.concat(
    rows.flatMap(({rowid, values}) => {
      const payload = Buffer.concat([Buffer.from(headerOf(values)), ...values.map((value) => serial(value).bytes)]);
      const front = [...varint(BigInt(payload.length)), ...(kind === 'rowid' ? varint(rowid) : [])];
      return [Buffer.from(front), payload];
    }),
  );
}

/** The columns of these records as docs/format.md describes them. */
export function columnsOf(rows: readonly RecordValues[], kind: RecordKind): Buffer {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const columns = Array.from({length: Math.max(0, ...rows.map(({values}) => values.length))}, (_, column) =>
    rows.filter(({values}) => column < values.length).map(({values}) => serial(values[column]!)),
  );
  const types = columns.map((column) => Buffer.from(column.flatMap(({type}) => varint(BigInt(type)))));
  const values = columns.map((column, at) =>
    valuesOf(column, rows.slice(0, 512).filter(({values}) => at < values.length).length),
  );
  const rowids = differences(rows.map(({rowid}) => rowid)).flat();
  const streams = [
    Buffer.from(rows.map(({values}) => values.length)),
    Buffer.from(kind === 'rowid' ? rowids : []),
    ...types,
    ...values.map(({bytes}) => bytes),
  ];
  const lengths = [rows.length, columns.length, streams[1]!.length, ...types.map(({length}) => length)];
  const valueLengths = values.map(({bytes, differ}) => bytes.length + (differ ? 2 ** 31 : 0));
  return Buffer.concat([
    ...[...lengths, ...valueLengths].map(number),
    ...streams.flatMap((stream) => [stream, Buffer.alloc(16)]),
  ]);
}

/** The values of one column; its integers as differences if that is shorter for those of the first `sample` values. */
function valuesOf(column: readonly Serial[], sample: number): {bytes: Buffer; differ: boolean} {
  const isInteger = ({type}: Serial) => type >= 1 && type <= 6;
  const integers = column.filter(isInteger).map(({bytes}) => bytes);
  const steps = differences(
    integers.map((bytes) => BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString('hex')}`))),
  );
  const sampled = column.slice(0, sample).filter(isInteger).length;
  const lengthOf = (parts: readonly ArrayLike<number>[]) =>
    parts.slice(0, sampled).reduce((sum, {length}) => sum + length, 0);
  const differ = 4 * lengthOf(steps) < 3 * lengthOf(integers);
  const bytes = column.map((value) => (differ && isInteger(value) ? Buffer.from(steps.shift()!) : value.bytes));
  return {bytes: Buffer.concat(bytes), differ};
}

/** Each number's difference to the one before. */
const differences = (numbers: readonly bigint[]): number[][] =>
  numbers.map((value, at) => {
    const difference = BigInt.asIntN(64, value - (numbers[at - 1] ?? 0n));
    return varint(BigInt.asIntN(64, difference << 1n) ^ (difference >> 63n));
  });

const integer = fc.oneof(
  fc.bigInt({min: -3n, max: 3n}),
  fc.bigInt({min: -(2n ** 63n), max: 2n ** 63n - 1n}),
  fc.nat(63).map((bits) => 2n ** BigInt(bits) - 1n),
);

const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  integer,
  fc.double(),
  fc.string({maxLength: 40}),
  fc.uint8Array({maxLength: 40}),
  // Longer than the copy of one step, and than a serial type of one, two and three bytes.
  fc.constantFrom(57, 58, 255, 256, 257, 8185, 8186, 30_000).map((length) => Buffer.alloc(length, 'long ')),
);

const row = fc.record({rowid: integer, values: fc.array(value, {maxLength: 130, size: 'small'})});

/** Rows whose integers are near each other, in columns of integers, of other values, and of both. */
const orderedRows = fc
  .record({first: integer, rows: fc.array(fc.tuple(fc.nat(300), value, fc.boolean()), {maxLength: 40})})
  .map(({first, rows}) =>
    rows.map(([step, other, isOther], at): RecordValues => {
      const near = BigInt.asIntN(64, first + BigInt(at * 100 + step));
      return {rowid: near, values: [near, isOther ? other : near, BigInt(step)]};
    }),
  );

/** What the columns of a table have in common: their types, or their lengths, or that their integers are near. */
const likeValues: readonly fc.Arbitrary<Value>[] = [
  fc.constant(null),
  fc.constant('2026-11-27 04:10:00'),
  fc.constantFrom('open', 'paid'),
  fc.double(),
  fc.string({maxLength: 16}),
  fc.nat(33).map((length) => Buffer.alloc(length, 'of a medium length ')),
  fc.nat(70).map((length) => Buffer.alloc(length, 'sometimes of more than a byte ')),
  fc.bigInt(100_000n, 100_030n),
  fc.bigInt(100_000n, 100_300n),
  fc.bigInt(-40_000n, 40_000n),
  value,
];

/** Rows with equally many columns, whose values resemble those above them. */
export const tableRows: fc.Arbitrary<RecordValues[]> = fc
  .array(fc.constantFrom(...likeValues), {minLength: 1, maxLength: 5})
  .chain((columns) =>
    fc.array(fc.record({rowid: integer, values: fc.tuple(...columns)}), {maxLength: 150, size: 'max'}),
  );

/** Rows of any shape; columns and serial types differ from row to row. */
export const anyRows: fc.Arbitrary<RecordValues[]> = fc.oneof(
  orderedRows,
  tableRows,
  fc.array(row, {maxLength: 30}),
  // A record with as many columns as a short header has, and some more.
  fc
    .integer({min: 120, max: 135})
    .chain((columns) =>
      fc.array(
        fc.record({rowid: integer, values: fc.array(value, {minLength: columns, maxLength: columns, size: 'max'})}),
        {maxLength: 3},
      ),
    ),
);

/** A table as applications have it: ids in order, words, times, numbers. */
export function shopRows(count: number, seed = 1): RecordValues[] {
  let state = seed;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const words = ['open', 'paid', 'sent', 'back'];
  return Array.from({length: count}, (_, at) => ({
    rowid: BigInt(1000 + at),
    values: [
      null,
      BigInt(next(60_000)),
      words[next(4)]!,
      `${next(300)} ${words[next(4)]} street`,
      next(5) === 0 ? null : `2026-11-${10 + next(20)} ${10 + next(14)}:00`,
      next(10_000) / 100,
    ],
  }));
}
