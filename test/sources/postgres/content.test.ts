import {expect, test} from 'vitest';
import {RunningContent} from '../../../src/sources/postgres/segments/content.ts';

// docs/format.md, "Content", for a table with one text.
const mask = (1n << 64n) - 1n;
const rotate = (x: bigint, n: bigint) => ((x << n) | (x >> (64n - n))) & mask;
const mixed = (x: bigint, w: bigint) => {
  const y = ((x ^ w) * 0x9e3779b97f4a7c15n) & mask;
  return y ^ (y >> 32n);
};
const mixedHigh = (x: bigint, w: bigint) => {
  const y = ((rotate(x, 27n) + w) * 0xd6e8feb86659fd93n) & mask;
  return y ^ (y >> 29n);
};
const finished = (x: bigint) => {
  let h = ((x ^ (x >> 33n)) * 0xff51afd7ed558ccdn) & mask;
  h = ((h ^ (h >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask;
  return h ^ (h >> 33n);
};
function expected(rows: readonly string[]): string {
  let [first, second] = [0n, 0n];
  for (const row of rows) {
    const bytes = Buffer.from(row);
    const padded = Buffer.concat([bytes, Buffer.alloc((16 - (bytes.length % 16)) % 16)]);
    let low = 0x8bb84b93962eacc9n;
    let high = mixed(0x2d358dccaa6c78a5n, (BigInt(bytes.length) + 0x8cb92ba72f3d8dd7n) & mask);
    for (let at = 0; at < padded.length; at += 16) {
      low = mixed(low, padded.readBigUInt64LE(at));
      high = mixedHigh(high, padded.readBigUInt64LE(at + 8));
    }
    first = (first + finished(low ^ rotate(high, 32n))) & mask;
    second = (second + finished((high + low) & mask)) & mask;
  }
  return second.toString(16).padStart(16, '0') + first.toString(16).padStart(16, '0');
}

const rows = ['1\tAda\t\\N', '', 'x', '2\tB\\no', 'ä'.repeat(100), '12345678', '0123456789abcdef', 'x'];
const linesOf = (list: readonly string[]) => Buffer.from(list.map((row) => `${row}\n`).join(''));

test('the content of rows is the documented sum, in any order and any segments', () => {
  const running = new RunningContent();
  expect(running.add(linesOf(rows))).toBe(8);
  expect(running.content()).toEqual({rows: 8, hash: expected(rows)});
  const other = new RunningContent();
  for (const row of rows.toReversed()) other.add(linesOf([row]));
  expect(other.content()).toEqual(running.content());
});

test('rows that are removed leave the content of the others', () => {
  const running = new RunningContent();
  running.add(linesOf(rows));
  running.remove(linesOf(['x', '']));
  expect(running.content()).toEqual({rows: 6, hash: expected(rows.filter((row, at) => row !== '' && at !== 7))});
});

test('segments that are larger than the memory of a part, and rows that are, count once', () => {
  const large = ['a'.repeat(9_000_000), ...Array.from({length: 30_000}, (_, at) => `${at}\tsome text`), 'b'.repeat(99)];
  const running = new RunningContent();
  expect(running.add(linesOf(large))).toBe(30_002);
  const parts = new RunningContent();
  for (let at = 0; at < large.length; at += 1000) parts.add(linesOf(large.slice(at, at + 1000)));
  expect(running.content()).toEqual(parts.content());
});
