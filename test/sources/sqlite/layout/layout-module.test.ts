import {expect, test} from 'vitest';
import {instantiate} from '../../../../src/sources/sqlite/layout/layout-module.ts';
import {generator, pageSizes} from './random-database.ts';

const mebibyte = 1024 * 1024;
const at = mebibyte;
const marks = 4 * mebibyte;
const links = 6 * mebibyte;
const out = 8 * mebibyte;
const outEnd = 32 * mebibyte;

const memory = new WebAssembly.Memory({initial: 33 * 16, maximum: 33 * 16, shared: true});
const bytes = Buffer.from(memory.buffer);
const module = instantiate(memory);

/** @returns pages and leaves; undefined if the records are refused */
function layOut(records: Buffer, {isTable, isLast = true}: {isTable: boolean; isLast?: boolean}) {
  bytes.set(records, at);
  if (module.layOut(at, at + records.length, isTable, isLast, marks) !== 0) return undefined;
  return {pages: module.pageCount.value, leaves: module.leafCount.value};
}

function varint(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** A record of one BLOB. */
function record(payloadBytes: number, rowid?: number): Buffer {
  const head = [...varint(payloadBytes), ...(rowid === undefined ? [] : varint(rowid))];
  const record = Buffer.alloc(head.length + payloadBytes);
  record.set(head);
  // The header names its own length, which depends on the length of the type.
  let types = varint(12);
  for (let i = 0; i < 3; i++) types = varint(12 + 2 * Math.max(0, payloadBytes - 1 - types.length));
  record.set(payloadBytes === 1 ? [1] : [1 + types.length, ...types], head.length);
  return record;
}

/** 64 KiB of records, at least four. */
function chunkOf(payloadBytes: number, isTable: boolean): Buffer {
  const records: Buffer[] = [];
  for (let size = 0, i = 0; size < 65536 || i < 4; i++) {
    records.push(record(payloadBytes, isTable ? i : undefined));
    size += records.at(-1)!.length;
  }
  return Buffer.concat(records);
}

test.each(pageSizes.flatMap((size) => [size, size - 32]))(
  'pages are at most eight times as long as their records, with %i usable bytes',
  (usable) => {
    const pageSize = 2 ** Math.ceil(Math.log2(usable));
    module.setUpLayout(pageSize, usable, out, outEnd, links);
    const most = Math.floor(((usable - 12) * 64) / 255) - 23;
    for (const isTable of [true, false]) {
      // The worst are records that barely need an overflow page, and those that fill a leaf by half.
      const lengths = [1, 2, 4, most, most + 1, most + 2, usable / 2 - 10, usable - 35, usable - 34, 3 * usable];
      for (const length of lengths) {
        const chunk = chunkOf(Math.floor(length), isTable);
        const laidOut = layOut(chunk, {isTable})!;
        expect(laidOut.leaves).toBeGreaterThan(0);
        expect((laidOut.pages * pageSize) / chunk.length, `${length}`).toBeLessThan(8);
      }
    }
  },
);

test('the last record stays in a leaf, and a separator needs a leaf before and after it, at every length', () => {
  module.setUpLayout(512, 512, out, outEnd, links);
  for (const isLast of [true, false]) {
    for (const length of [3, 40, 101, 102, 103, 140]) {
      for (let count = isLast ? 1 : 2; count < 60; count++) {
        const records = Buffer.concat(Array.from({length: count}, () => record(length)));
        const {leaves} = layOut(records, {isTable: false, isLast})!;
        let cells = 0;
        for (let leaf = 0; leaf < leaves; leaf++) {
          const mark = marks + 16 * leaf;
          const inLeaf = bytes.readUInt16BE(out + 512 * bytes.readUInt32LE(mark) + 3);
          expect(inLeaf).toBeGreaterThan(0);
          // The separator after the leaf.
          cells += inLeaf + (bytes.readUInt32LE(mark + 8) > 0 ? 1 : 0);
          if (isLast && leaf === leaves - 1) expect(bytes.readUInt32LE(mark + 8)).toBe(0);
          else expect(bytes.readUInt32LE(mark + 8)).toBeGreaterThan(0);
        }
        expect(cells).toBe(count);
      }
    }
  }
});

/** What `checkRecords` of assembly/pages/check-records.ts returns. */
const faults = {cutShort: 1, notARecord: 2, outOfOrder: 3, notMinimal: 4};

test.each([
  ['a length beyond the chunk', faults.cutShort, [0x7f]],
  ['a length of two bytes beyond the chunk', faults.cutShort, [0xff, 0x7f]],
  ['a length beyond the memory', faults.cutShort, [0x8f, 0xff, 0xff, 0xff, 0x7f]],
  ['the largest of all lengths', faults.cutShort, Array(9).fill(0xff)],
  ['a length that continues beyond the chunk', faults.cutShort, [0x81]],
  ['a length of two bytes that fits one', faults.notMinimal, [0x80, 3, 2, 1, 7]],
  ['a length of nine bytes that fits one', faults.notMinimal, [...Array(8).fill(0x80), 3, 2, 1, 7]],
  ['a payload of nothing', faults.notARecord, [0]],
  ['a header longer than the payload', faults.notARecord, [2, 3, 1]],
  ['a header of no bytes', faults.notARecord, [1, 0]],
  ['a serial type that SQLite does not use', faults.notARecord, [2, 2, 10]],
  ['a type that continues beyond the header', faults.notARecord, [4, 2, 0x80, 3, 1]],
  ['values shorter than their types', faults.notARecord, [4, 3, 1, 2, 7]],
  ['values longer than their types', faults.notARecord, [6, 3, 1, 1, 7, 7, 7]],
] as const)('%s is refused', (_, fault, wrong) => {
  module.setUpLayout(512, 512, out, outEnd, links);
  const good = record(30);
  bytes.fill(0xff, at, at + 1000);
  for (const before of [[], [good], [good, good]]) {
    const chunk = Buffer.concat([...before, Buffer.from(wrong)]);
    bytes.set(chunk, at);
    expect(module.layOut(at, at + chunk.length, false, true, marks)).toBe(fault);
  }
});

test('no bytes make it read or write elsewhere', () => {
  const seed = Date.now() % 2 ** 31;
  const random = generator(seed + 1);
  let refused = 0;
  const rounds = 3000;
  for (let round = 0; round < rounds; round++) {
    module.setUpLayout(512, 512 - random(33), out, outEnd, links);
    const isTable = random(2) === 0;
    const all = Array.from({length: 2 + random(20)}, (_, i) =>
      record(1 + random(random(2) === 0 ? 30 : 2000), isTable ? i : undefined),
    );
    for (let i = random(4); i > 0; i--) {
      const changed = all[random(all.length)]!;
      // Mostly the lengths at the beginning.
      changed[random(random(3) === 0 ? changed.length : Math.min(changed.length, 6))] = random(256);
    }
    const records = Buffer.concat(all);
    // What is beyond the chunk has any value.
    bytes.fill(random(256), at + records.length, at + records.length + 64);
    const before = bytes.readUInt32LE(outEnd);
    if (layOut(records, {isTable}) === undefined) refused++;
    expect(bytes.readUInt32LE(outEnd), `seed ${seed}, round ${round}`).toBe(before);
  }
  expect(refused).toBeGreaterThan(rounds / 10);
  expect(refused).toBeLessThan(rounds * 0.9);
});
