import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {
  type IndexShape,
  indexShape,
  keyFileBytes,
  makeKeyFile,
  makeValueFile,
  measureIndex,
  valueFileBytes,
} from '../../../../src/sources/questdb/format/symbol-index.ts';
import {seed} from '../../../seeds/seed.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-index-'));
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

/** An index to which rows are added one by one, as in the server. */
class ServersIndex {
  readonly #blockRows: number;
  readonly #values: number[] = [];
  readonly #keys: {count: number; first: number; last: number}[] = [];

  constructor(blockRows: number) {
    this.#blockRows = blockRows;
  }

  add(key: number, row: number): void {
    while (this.#keys.length <= key) this.#keys.push({count: 0, first: 0, last: 0});
    const entry = this.#keys[key]!;
    const cell = entry.count % this.#blockRows;
    if (cell === 0) {
      const at = this.#values.length;
      for (let n = 0; n < this.#blockRows + 2; n++) this.#values.push(0);
      if (entry.count === 0) entry.first = at;
      else {
        this.#values[at + this.#blockRows] = entry.last * 8;
        this.#values[entry.last + this.#blockRows + 1] = at * 8;
      }
      entry.last = at;
    }
    this.#values[entry.last + cell] = row;
    entry.count++;
  }

  values(): Buffer {
    return Buffer.from(new BigInt64Array(this.#values.map(BigInt)).buffer);
  }

  keys(lastRow: number): Buffer {
    const bytes = Buffer.alloc(64 + this.#keys.length * 32);
    bytes[0] = 0xfa;
    bytes.writeBigInt64LE(1n, 1);
    bytes.writeBigInt64LE(BigInt(this.#values.length * 8), 9);
    bytes.writeInt32LE(this.#blockRows, 17);
    bytes.writeInt32LE(this.#keys.length, 21);
    bytes.writeBigInt64LE(1n, 29);
    bytes.writeBigInt64LE(BigInt(lastRow), 37);
    for (const [key, {count, first, last}] of this.#keys.entries()) {
      for (const [at, value] of [count, first * 8, last * 8, count].entries()) {
        bytes.writeBigInt64LE(BigInt(value), 64 + key * 32 + at * 8);
      }
    }
    return bytes;
  }
}

/** Numbers from 0 (inclusive) to 1 (exclusive), determined by the seed. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function made(column: Int32Array, {top, shape}: {top: number; shape?: IndexShape}, blockRows: number) {
  const path = join(folder, 'sym.d');
  // With later rows, which do not belong to the backup.
  writeFileSync(path, Buffer.concat([Buffer.from(column.buffer), Buffer.alloc(4096, 3)]));
  const handle = await open(path);
  try {
    const rows = {column: handle, path, top, rows: top + column.length};
    const used = shape ?? (await measureIndex(rows, blockRows));
    const parts: Uint8Array[] = [];
    // In parts of a few blocks.
    for await (const part of makeValueFile(rows, used, 10_000)) parts.push(Uint8Array.from(part));
    return {shape: used, keys: await makeKeyFile(rows, used), values: Buffer.concat(parts)};
  } finally {
    await handle.close();
  }
}

test('an index built from rows equals, byte by byte, one that grew row by row', async () => {
  const random = randomFrom(seed);
  for (let round = 0; round < 25; round++) {
    const blockRows = 2 ** (1 + Math.floor(random() * 8));
    const symbols = 1 + Math.floor(random() * 300);
    const top = random() < 0.5 ? 0 : Math.floor(random() * 1000);
    const column = Int32Array.from({length: 1 + Math.floor(random() * 2000)}, () =>
      random() < 0.05 ? -(2 ** 31) : Math.floor(random() * random() * symbols),
    );
    const server = new ServersIndex(blockRows);
    for (const [at, symbol] of column.entries()) server.add(symbol === -(2 ** 31) ? 0 : symbol + 1, top + at);
    const wanted = {keys: server.keys(top + column.length - 1), values: server.values()};
    const exact = await made(column, {top}, blockRows);
    const facts = `seed ${seed}, round ${round}`;
    expect(exact.keys.equals(wanted.keys), facts).toBe(true);
    expect(exact.values.equals(wanted.values), facts).toBe(true);
    expect(indexShape(wanted.keys, wanted.values.length, column.length), facts).toEqual(exact.shape);
    // With room for more: the server's index had more rows when its size was read.
    const shape = {...exact.shape, keys: exact.shape.keys + 3, blocks: exact.shape.blocks + 5};
    const roomy = await made(column, {top, shape}, blockRows);
    expect([roomy.keys.length, roomy.values.length]).toEqual([keyFileBytes(shape), valueFileBytes(shape)]);
    expect(roomy.keys.subarray(0, wanted.keys.length).equals(wanted.keys), facts).toBe(true);
    expect(roomy.values.subarray(0, wanted.values.length).equals(wanted.values), facts).toBe(true);
  }
});

test('building an index fails when its shape is too small for the rows', async () => {
  const column = Int32Array.from({length: 100}, (_, at) => at);
  for (const shape of [
    {blockRows: 4, keys: 50, blocks: 101},
    {blockRows: 4, keys: 101, blocks: 50},
  ]) {
    await expect(made(column, {top: 0, shape}, 4)).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE', retryable: true});
  }
});

test('a value that is not a symbol is reported with its row', async () => {
  await expect(made(Int32Array.from([1, 2, -7]), {top: 0}, 4)).rejects.toMatchObject({
    code: 'SOURCE_DAMAGED',
    message: expect.stringContaining('-7 in row 2'),
  });
});
