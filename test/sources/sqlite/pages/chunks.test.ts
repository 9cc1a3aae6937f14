import {expect, test} from 'vitest';
import {KeyChunks} from '../../../../src/sources/sqlite/pages/key-chunks.ts';
import {HeldRecords} from '../../../../src/sources/sqlite/pages/records.ts';
import {RowidChunks} from '../../../../src/sources/sqlite/pages/rowid-chunks.ts';
import {rowidRanges} from '../../../../src/sources/sqlite/pages/rowid-ranges.ts';
import {leastRowid, mostRowid} from '../../../../src/sources/sqlite/pages/walk.ts';
import {TakeRows} from '../../../../src/sources/take-rows.ts';
import {seed} from '../../../seeds/seed.ts';
import {Random} from '../../../simulator/random.ts';

// Chunks of invented records. BKP_TEST_SEED chooses them, BKP_TEST_RUNS multiplies them.
const rounds = 20 * Number(process.env.BKP_TEST_RUNS ?? 1);
const mebibyte = 1024 * 1024;

function varint(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest % 128) | 0x80);
  return bytes;
}

/** A record of a rowid tree, or of a key tree without a rowid, with this many bytes of payload. */
function record(payload: number, rowid?: number): Buffer {
  const head = [...varint(payload), ...(rowid === undefined ? [] : varint(rowid))];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(payload, payload % 251)]);
}

type Row = {rowid: number; bytes: Buffer};
type Range = {upTo: bigint; isLast: boolean};

/** Chunks of rows in the ranges with these ends, each delivered in pieces of at most `pieceRows` rows. */
function rowidChunks(
  rows: readonly Row[],
  ends: readonly bigint[],
  random: Random,
): {ends: bigint[]; chunks: Buffer[]} {
  const chunks = new RowidChunks();
  const made: {ends: bigint[]; chunks: Buffer[]} = {ends: [], chunks: []};
  const ranges: Range[] = [...ends, mostRowid].map((upTo, at) => ({upTo, isLast: at === ends.length}));
  let at = 0;
  for (const {upTo, isLast} of ranges) {
    const inside: Row[] = [];
    while (at < rows.length && BigInt(rows[at]!.rowid) <= upTo) inside.push(rows[at++]!);
    do {
      const piece = inside.splice(0, random.pick([1, 50, inside.length]) || inside.length);
      const bytes = Buffer.concat(piece.map((row) => row.bytes));
      const extracted = {bytes, records: piece.length, hasOddKey: false, release: () => {}};
      const end = inside.length === 0 ? upTo : undefined;
      for (const chunk of chunks.add(extracted, {upTo: end, isLast})) {
        made.ends.push(chunk.upTo);
        made.chunks.push(Buffer.from(chunk.bytes));
        chunk.release();
      }
    } while (inside.length > 0);
  }
  return made;
}

test('chunks of ranges hold every record once, have their sizes, and are the same again with their own ends', () => {
  const random = new Random(seed);
  for (let round = 0; round < rounds; round++) {
    const what = `BKP_TEST_SEED=${seed}, round ${round}`;
    const sizes = random.pick([
      [10],
      [1000],
      [100_000],
      [10, 900_000, 1_100_000],
      [5, 3_000_000],
      [400_000, 2_100_000],
    ]);
    const rows: Row[] = [];
    let bytes = 0;
    for (let rowid = 1; bytes < 6 * mebibyte && rowid < 60_000; rowid += 1 + random.below(3)) {
      const row = {rowid, bytes: record(1 + random.below(random.pick(sizes)), rowid)};
      rows.push(row);
      bytes += row.bytes.length;
    }
    const all = Buffer.concat(rows.map((row) => row.bytes));
    const someEnds = [...new Set(Array.from({length: random.below(8)}, () => BigInt(random.below(60_000))))];
    const first = rowidChunks(
      rows,
      someEnds.sort((a, b) => Number(a - b)),
      random,
    );
    expect(Buffer.concat(first.chunks).equals(all), what).toBe(true);
    for (const chunk of first.chunks) {
      const isSingle = rows.some((row) => row.bytes.length === chunk.length);
      if (!isSingle) expect(chunk.length, what).toBeLessThanOrEqual(2 * mebibyte);
    }
    const ends = first.ends.filter((end) => end < mostRowid);
    const second = rowidChunks(rows, ends, random);
    expect(second.ends, what).toEqual(first.ends);
    expect(
      second.chunks.every((chunk, at) => chunk.equals(first.chunks[at]!)),
      what,
    ).toBe(true);
  }
});

test('ranges hold every rowid of 64 bits once, whatever is in the leaves', () => {
  const random = new Random(seed);
  for (let round = 0; round < rounds; round++) {
    const what = `BKP_TEST_SEED=${seed}, round ${round}`;
    const scale = random.pick([10n, 1000n, 2n ** 40n, 2n ** 62n]);
    const near = () => (BigInt(random.below(1e9)) * scale) / 500_000_000n - random.pick([0n, scale]);
    const count = 1 + random.below(3000);
    const keys = [...new Set(Array.from({length: count - 1}, near))].sort((a, b) => (a < b ? -1 : 1));
    const upTo = BigInt64Array.from([...keys, mostRowid]);
    const leaves = {kind: 'rowid', pages: Uint32Array.from(upTo.keys()), upTo} as const;
    const ends = [...new Set(Array.from({length: random.below(9)}, near))].sort((a, b) => (a < b ? -1 : 1));
    const before = random.pick([undefined, ends, random.chance(0.5) ? [leastRowid, 5n] : []]);
    const ranges = rowidRanges(leaves, before, random.pick([512, 4096, 65_536]));
    let after: bigint | undefined;
    for (const range of ranges) {
      expect(range.after, what).toBe(after);
      if (after !== undefined) expect(range.upTo > after, what).toBe(true);
      // Every rowid of the range is in one of its leaves.
      const {firstLeaf, lastLeaf} = range;
      if (firstLeaf > 0) expect(upTo[firstLeaf - 1]! <= range.after!, what).toBe(true);
      expect(upTo[lastLeaf]! >= range.upTo, what).toBe(true);
      after = range.upTo;
    }
    expect(after, what).toBe(mostRowid);
    for (const end of before ?? [])
      expect(
        ranges.some((range) => range.upTo === end),
        what,
      ).toBe(true);
  }
});

type Key = {bytes: Buffer; qualifies: boolean};

/** Chunks of keys that are delivered in pieces. */
function keyChunks(keys: readonly Key[], random: Random): Buffer[] {
  const chunks = new KeyChunks('tail');
  const made: Buffer[] = [];
  const take = (chunk: {bytes: Uint8Array; release: () => void}) => {
    made.push(Buffer.from(chunk.bytes));
    chunk.release();
  };
  for (let at = 0; at < keys.length; ) {
    const piece = keys.slice(at, at + random.below(random.pick([3, 200, keys.length])));
    at += piece.length;
    const marks: number[] = [];
    let [offset, lastAt] = [0, 0];
    for (const [n, {bytes, qualifies}] of piece.entries()) {
      if (qualifies && !(n > 0 && piece[n - 1]!.qualifies)) marks.push(offset, n);
      lastAt = offset;
      offset += bytes.length;
    }
    const extracted = {
      bytes: Buffer.concat(piece.map(({bytes}) => bytes)),
      records: piece.length,
      marks: Uint32Array.from(marks),
      lastQualifies: piece.at(-1)?.qualifies,
      lastAt: piece.length === 0 ? undefined : lastAt,
      hasOddKey: false,
      release: () => {},
    };
    for (const chunk of chunks.add(extracted)) take(chunk);
  }
  for (const chunk of chunks.end()) take(chunk);
  expect(chunks.records).toBe(keys.length);
  return made;
}

/** The same by the rule, over all keys at once. */
function keyChunksByRule(keys: readonly Key[]): Buffer[] {
  const made: Buffer[] = [];
  let chunk: Buffer[] = [];
  let bytes = 0;
  for (const [at, key] of keys.entries()) {
    const begins = key.qualifies && (at === 0 || !keys[at - 1]!.qualifies);
    const isFull = bytes + key.bytes.length > 3 * mebibyte;
    const enough = chunk.length >= (made.length === 0 ? 1 : 2);
    if ((begins || isFull) && enough && at < keys.length - 1) {
      made.push(Buffer.concat(chunk));
      [chunk, bytes] = [[], 0];
    }
    chunk.push(key.bytes);
    bytes += key.bytes.length;
  }
  return chunk.length === 0 ? made : [...made, Buffer.concat(chunk)];
}

test('chunks of keys follow the rule, however their records are delivered', () => {
  const random = new Random(seed);
  for (let round = 0; round < rounds; round++) {
    const what = `BKP_TEST_SEED=${seed}, round ${round}`;
    const size = random.pick([8, 300, 50_000, 900_000]);
    const frequency = random.pick([0, 0.01, 0.3, 0.9, 1]);
    const count = random.below(random.pick([3, 8, Math.min(3000, (8 * mebibyte) / size)]));
    const keys = Array.from({length: count}, () => ({
      bytes: record(1 + random.below(size)),
      qualifies: random.chance(frequency),
    }));
    const chunks = keyChunks(keys, random);
    const wanted = keyChunksByRule(keys);
    expect(
      chunks.map(({length}) => length),
      what,
    ).toEqual(wanted.map(({length}) => length));
    expect(Buffer.concat(chunks).equals(Buffer.concat(wanted)), what).toBe(true);
    for (const chunk of chunks) expect(chunk.length, what).toBeLessThanOrEqual(4 * mebibyte);
  }
});

test('a chunk of keys that begins because of its size has two records as well', () => {
  // Three records make the first chunk full; the fifth one qualifies, and would leave the fourth alone.
  const keys = [false, false, false, false, true, false].map((qualifies) => ({bytes: record(1_000_000), qualifies}));
  const chunks = keyChunks(keys, new Random(1));
  expect(chunks.map(({length}) => Math.round(length / 1e6))).toEqual([3, 3]);
  // Nor does the last record begin one.
  expect(keyChunks(keys.slice(0, 4), new Random(1)).map(({length}) => Math.round(length / 1e6))).toEqual([4]);
});

test('a key of more than a mebibyte means rows', () => {
  const keys = [record(10), record(mebibyte + 1), record(10)].map((bytes) => ({bytes, qualifies: false}));
  expect(() => keyChunks(keys, new Random(2))).toThrow(TakeRows);
});

test('the memory of a chunk is used again when it is released, and by one chunk only', () => {
  const held = new HeldRecords();
  const chunkOf = (bytes: number, rest = 0) => {
    held.add(Buffer.alloc(bytes, 1), 1);
    if (rest > 0) held.add(Buffer.alloc(rest, 2), 1);
    return held.take(bytes, 1);
  };
  const one = chunkOf(1000, 500);
  expect(held.bytes).toEqual(new Uint8Array(Buffer.alloc(500, 2)));
  expect(held.records).toBe(1);
  const rest = held.take(500, 1);
  expect(one.bytes).toEqual(new Uint8Array(Buffer.alloc(1000, 1)));
  expect(rest.bytes).toEqual(new Uint8Array(Buffer.alloc(500, 2)));
  one.release();
  one.release();
  const [two, three] = [chunkOf(700), chunkOf(800)];
  expect(two.bytes.buffer).toBe(one.bytes.buffer);
  expect(three.bytes.buffer).not.toBe(two.bytes.buffer);
  expect(three.bytes.buffer).not.toBe(rest.bytes.buffer);
  // Small chunks do not take the memory of large ones, and the largest have memory of their own, which is freed.
  const large = chunkOf(2 * mebibyte);
  large.release();
  expect(chunkOf(900).bytes.buffer).not.toBe(large.bytes.buffer);
  expect(chunkOf(3 * mebibyte).bytes.buffer).toBe(large.bytes.buffer);
  const largest = chunkOf(5 * mebibyte);
  expect(largest.bytes.length).toBe(5 * mebibyte);
  largest.release();
  expect(largest.bytes.length).toBe(0);
});
