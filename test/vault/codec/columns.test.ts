import {expect, test} from 'vitest';
import {joinRecords, mostColumnBytes, type RecordKind, splitRecords} from '../../../src/vault/codec/columns/columns.ts';
import {wasm} from '../../../src/vault/codec/columns/wasm.js';
import fc from '../../seeds/fast-check.ts';
import {anyRows, columnsOf, hasLongHeader, recordsOf, shopRows, tableRows} from './records.ts';

/** For a change of the code: `BKP_PROPERTY_RUNS=100000 npx vitest run test/vault/codec/columns.test.ts`. */
const numRuns = Number(process.env.BKP_PROPERTY_RUNS ?? 100);

const kinds: readonly RecordKind[] = ['rowid', 'key'];
const anyKind = fc.constantFrom(...kinds);

/** Columns, and what joining them restores; undefined if the bytes are not split. */
function thereAndBack(plain: Uint8Array, kind: RecordKind): {columns: Buffer; back: Buffer} | undefined {
  const split = splitRecords(plain, kind);
  if (split === undefined) return undefined;
  const columns = Buffer.from(split);
  return {columns, back: Buffer.from(joinRecords(columns, kind, plain.length))};
}

test('records of any shape are the same after they were split and joined', () => {
  fc.assert(
    fc.property(anyRows, anyKind, (rows, kind) => {
      const plain = recordsOf(rows, kind);
      const result = thereAndBack(plain, kind);
      expect(result === undefined).toBe(rows.some(({values}) => hasLongHeader(values)));
      if (result === undefined) return;
      expect(result.back.equals(plain)).toBe(true);
      expect(result.columns.equals(columnsOf(rows, kind))).toBe(true);
      expect(result.columns.length).toBeLessThanOrEqual(mostColumnBytes(plain.length));
    }),
    {numRuns},
  );
});

test('the integers of the first 512 records decide whether those of a column are differences', () => {
  for (const ordered of [0, 300, 400, 512, 600]) {
    const rows = Array.from({length: 700}, (_, at) => {
      const value = at < ordered ? 100_000 + at : (at * 7_919_317) % 8_000_000;
      return {rowid: BigInt(at), values: [BigInt(value), null]};
    });
    const plain = recordsOf(rows, 'key');
    const result = thereAndBack(plain, 'key');
    expect(result?.back.equals(plain)).toBe(true);
    expect(result?.columns.equals(columnsOf(rows, 'key'))).toBe(true);
    // Of three bytes, an ordered integer saves two, and any other one nothing or less.
    expect(result!.columns.readUInt32LE(20) >= 2 ** 31).toBe(ordered >= 300);
  }
});

/** Bytes with some of them replaced, or cut off, or with others after them. */
const damage = fc.record({
  changes: fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0x81, 0xff))), {
    maxLength: 6,
  }),
  cut: fc.oneof({weight: 3, arbitrary: fc.constant(0)}, fc.nat(40)),
  more: fc.oneof({weight: 3, arbitrary: fc.constant(new Uint8Array())}, fc.uint8Array({maxLength: 40})),
});

function damagedBytes(
  bytes: Uint8Array,
  {changes, cut, more}: {changes: [number, number][]; cut: number; more: Uint8Array},
) {
  const wrong = Buffer.concat([bytes.subarray(0, bytes.length - cut), more]);
  for (const [at, value] of changes) if (wrong.length > 0) wrong[at % wrong.length] = value;
  return wrong;
}

test('bytes that are not quite records are restored exactly, or not split', () => {
  fc.assert(
    fc.property(anyRows, anyKind, anyKind, damage, (rows, written, read, damage) => {
      const plain = damagedBytes(recordsOf(rows, written), damage);
      const result = thereAndBack(plain, read);
      return result === undefined || result.back.equals(plain);
    }),
    {numRuns},
  );
  fc.assert(
    fc.property(fc.uint8Array({maxLength: 300}), anyKind, (plain, kind) => {
      const result = thereAndBack(plain, kind);
      return result === undefined || result.back.equals(plain);
    }),
    {numRuns},
  );
});

test.each([
  ['a length', [0x80, 0x03, 0x02, 0x01, 0x07], 'key'],
  ['a rowid', [0x03, 0x80, 0x05, 0x02, 0x01, 0x07], 'rowid'],
  ['a rowid of nine bytes', [0x03, ...Array(7).fill(0x80), 0x81, 0x05, 0x02, 0x01, 0x07], 'rowid'],
  ['a serial type', [0x04, 0x03, 0x80, 0x01, 0x07], 'key'],
] as const)('%s that is longer than it need be is not split', (_, bytes, kind) => {
  expect(splitRecords(Buffer.from(bytes), kind)).toBeUndefined();
});

test('records whose header has no length of its own are not split', () => {
  for (const count of [1, 3, 4, 70]) {
    expect(splitRecords(Buffer.from(Array(count).fill([1, 0]).flat()), 'key')).toBeUndefined();
    expect(splitRecords(Buffer.from(Array(count).fill([2, 5, 0, 0]).flat()), 'rowid')).toBeUndefined();
  }
});

test('long values among short ones, wherever they are, come back', () => {
  const short = {rowid: 1n, values: ['a', 3n, 'bc']};
  const long = {rowid: 1n, values: ['x'.repeat(300), 3n, 'bc']};
  for (const every of [2, 4, 5, 6, 63, 64, 65, 100]) {
    const rows = Array.from({length: 700}, (_, at) => ({
      ...(at % every === every - 1 ? long : short),
      rowid: BigInt(at),
    }));
    for (const kind of kinds) {
      const plain = recordsOf(rows, kind);
      const result = thereAndBack(plain, kind);
      expect(result?.back.equals(plain)).toBe(true);
      expect(result?.columns.equals(columnsOf(rows, kind))).toBe(true);
    }
  }
});

test.each(kinds)('columns of %s records of the largest chunk come back, and so do those of one record', (kind) => {
  const rows = shopRows(1000);
  const many = recordsOf(rows, kind);
  const large = Buffer.alloc(16 * 1024 * 1024 - ((16 * 1024 * 1024) % many.length));
  for (let at = 0; at < large.length; at += many.length) large.set(many, at);
  for (const plain of [large, recordsOf([{rowid: 5n, values: [Buffer.alloc(8 * 1024 * 1024, 7)]}], kind), many]) {
    expect(thereAndBack(plain, kind)?.back.equals(plain)).toBe(true);
  }
});

test('rowids that jump so much that columns need more room are not split', () => {
  const rows = Array.from({length: 5000}, (_, at) => ({rowid: at % 2 === 0 ? 1n : 2n ** 62n, values: []}));
  expect(splitRecords(recordsOf(rows, 'rowid'), 'rowid')).toBeUndefined();
  expect(splitRecords(recordsOf(rows.slice(0, 100), 'rowid'), 'rowid')).toBeDefined();
});

test('columns are the bytes of docs/format.md', () => {
  const rows = [
    {rowid: 7n, values: [null, 'ab']},
    {rowid: 5n, values: [258n]},
  ];
  const [gap, head] = ['00'.repeat(16), '0200000002000000'];
  const streams = (rowids: string) =>
    ['0201', rowids, '0002', '11', '0102', '6162'].map((stream) => stream + gap).join('');
  const lengths = '02000000' + '01000000' + '02000000' + '02000000';
  const expected = {
    rowid: `${head}02000000${lengths}${streams('0e03')}`,
    key: `${head}00000000${lengths}${streams('')}`,
  };
  for (const kind of kinds) {
    const plain = recordsOf(rows, kind);
    expect(Buffer.from(splitRecords(plain, kind)!).toString('hex')).toBe(expected[kind]);
    expect(joinRecords(Buffer.from(expected[kind], 'hex'), kind, plain.length).toString()).toBe(plain.toString());
  }
});

const memoryPages = 16;
const fillerBytes = (memoryPages - 1) * 64 * 1024;
const fillers = {zeros: Buffer.alloc(fillerBytes), ones: Buffer.alloc(fillerBytes, 0xff)};
type Filler = keyof typeof fillers;

/**
 * The module in memory of its own, with `filler` in all bytes that a call must not read or write. The input is where
 * memory ends: reading on is an error of WebAssembly.
 */
class Guarded {
  readonly #memory = new WebAssembly.Memory({initial: memoryPages, maximum: memoryPages, shared: true});
  readonly #bytes = new Uint8Array(this.#memory.buffer);
  // biome-ignore lint/suspicious/noExplicitAny: of two functions of numbers
  readonly #exports: any;
  readonly #output = 70_000;
  /** Where splitting may write what it likes. */
  readonly #scratch = 160_000;

  constructor() {
    const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
    this.#exports = new WebAssembly.Instance(module, {env: {memory: this.#memory}}).exports;
  }

  /** @returns the result and the output; fails if bytes outside of the output were written */
  call(name: 'split' | 'join', input: Uint8Array, kind: RecordKind, room: number, filler: Filler) {
    // Splitting may read 8 KiB more.
    const [to, from] = [this.#output, this.#bytes.length - input.length - (name === 'split' ? 8192 : 0)];
    const unit = (input.length + 15) & ~15;
    const scratchEnd = this.#scratch + (name === 'split' ? 8 * unit + 1024 : 0);
    expect(to + room + 16).toBeLessThanOrEqual(this.#scratch);
    expect(scratchEnd).toBeLessThanOrEqual(from);
    this.#bytes.set(fillers[filler], 64 * 1024);
    this.#bytes.set(input, from);
    const length = name === 'split' ? from + input.length : input.length;
    const result = Number(this.#exports[name](from, length, kind === 'rowid', to, room, this.#scratch, unit));
    const outside = [
      this.#bytes.subarray(64 * 1024, to),
      this.#bytes.subarray(to + room + 16, this.#scratch),
      this.#bytes.subarray(scratchEnd, from),
      this.#bytes.subarray(from + input.length),
    ];
    for (const bytes of outside) expect(Buffer.compare(bytes, fillers[filler].subarray(0, bytes.length))).toBe(0);
    expect(Buffer.from(input).equals(this.#bytes.subarray(from, from + input.length))).toBe(true);
    return {result, output: result === 0 ? '' : Buffer.from(this.#bytes.subarray(to, to + room)).toString('hex')};
  }
}

const guarded = new Guarded();

/** The result does not depend on bytes around input and output, and none of them is written. */
function staysInside(name: 'split' | 'join', input: Uint8Array, kind: RecordKind, room: number): void {
  const zeros = guarded.call(name, input, kind, room, 'zeros');
  const ones = guarded.call(name, input, kind, room, 'ones');
  expect(zeros.result).toBe(ones.result);
  // Of columns, only as many bytes are written as there are.
  if (name === 'join') expect(zeros.output).toBe(ones.output);
}

const extremes = fc.constantFrom(0, 1, 16, 125, 126, 127, 0x7fff_ffff, 0x8000_0000, 0xffff_ffef, 0xffff_ffff);

test('joining crafted columns reads and writes nothing outside of its input and output', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        tableRows.filter((rows) => recordsOf(rows, 'rowid').length < 60_000),
        fc.array(
          fc.record({
            rowid: fc.bigInt(-5n, 2n ** 62n),
            values: fc.array(fc.oneof(fc.string(), fc.bigInt(-9n, 9n), fc.bigInt(100_000n, 100_100n))),
          }),
        ),
      ),
      anyKind,
      damage,
      fc.array(fc.tuple(fc.nat(12), extremes), {maxLength: 2}),
      fc.integer({min: -40, max: 40}),
      (rows, kind, damage, lengths, moreRoom) => {
        const plain = recordsOf(rows, kind);
        const columns = damagedBytes(splitRecords(plain, kind)!, damage);
        for (const [at, value] of lengths) if (columns.length >= 4 * at + 4) columns.writeUInt32LE(value, 4 * at);
        staysInside('join', columns, kind, Math.max(0, plain.length + moreRoom));
      },
    ),
    {numRuns},
  );
  fc.assert(
    fc.property(fc.uint8Array({maxLength: 200}), anyKind, fc.nat(200), (columns, kind, room) =>
      staysInside('join', columns, kind, room),
    ),
    {numRuns},
  );
});

test('splitting crafted records reads and writes nothing outside of its input and output', () => {
  fc.assert(
    fc.property(anyRows, anyKind, damage, (rows, kind, damage) => {
      const plain = damagedBytes(recordsOf(rows, kind), damage);
      if (plain.length < 70_000) staysInside('split', plain, kind, mostColumnBytes(plain.length));
    }),
    {numRuns},
  );
});

test('columns of records with a longer header than is split are refused', () => {
  const ofTwoBytes = Buffer.alloc(58);
  for (const count of [63, 64, 70]) {
    const rows = [{rowid: 1n, values: Array(count).fill(ofTwoBytes)}];
    const plain = recordsOf(rows, 'key');
    const columns = columnsOf(rows, 'key');
    if (count === 63) expect(Buffer.from(joinRecords(columns, 'key', plain.length)).equals(plain)).toBe(true);
    else for (const less of [0, 1]) expect(() => joinRecords(columns, 'key', plain.length - less)).toThrow();
  }
});

test.each([
  ['rowids', 'rowid', {records: 200, rowids: [0]}],
  ['serial types', 'key', {records: 60, types: [8]}],
  ['values', 'key', {records: 1, types: [0x81, 0x55]}],
  ['a difference', 'key', {records: 2, types: [1, 0x81, 0x55], values: [0x80], flag: 0x80000000}],
  ['serial types of one byte', 'key', {records: 60, types: Array(59).fill(8)}],
  ['values of one length', 'key', {records: 60, types: Array(60).fill(17), values: [1, 2, 3]}],
  ['short values of several lengths', 'key', {records: 60, types: Array(30).fill([41, 43]).flat(), values: [1, 2]}],
  ['values of several lengths', 'key', {records: 3, types: [13, 113, 111], values: [1, 2]}],
  ['serial types of two bytes', 'key', {records: 60, types: Array(30).fill([0x81, 0x55]).flat()}],
  [
    'differences of one byte',
    'key',
    {records: 60, types: Array(60).fill(1), values: Array(59).fill(2), flag: 0x80000000},
  ],
  ['values beside differences', 'key', {records: 2, types: [1, 23], values: [2, 1, 1], flag: 0x80000000}],
] as const)('%s that end too early are refused, and nothing behind them is read', (_, kind, crafted) => {
  const {
    records,
    rowids = [],
    types = [],
    values = [],
    flag = 0,
  } = {flag: 0, ...crafted} as {
    records: number;
    rowids?: readonly number[];
    types?: readonly number[];
    values?: readonly number[];
    flag?: number;
  };
  const columns = types.length > 0 ? 1 : 0;
  const lengths = [records, columns, rowids.length, ...(columns === 1 ? [types.length, values.length + flag] : [])];
  const streams = [Buffer.alloc(records, columns), rowids, ...(columns === 1 ? [types, values] : [])];
  const input = Buffer.concat([
    Buffer.from(Uint32Array.from(lengths).buffer),
    ...streams.flatMap((stream) => [Buffer.from(stream), Buffer.alloc(16)]),
  ]);
  expect(guarded.call('join', input, kind, 5000, 'zeros').result).toBe(0);
});
