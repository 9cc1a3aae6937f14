import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {dirname, join} from 'node:path';
import {describe, expect, test} from 'vitest';
import type {Frozen, FrozenFile} from '../../../src/sources/index.ts';
import {openQuestDbSource} from '../../../src/sources/questdb/index.ts';
import {settleMicros} from '../../../src/sources/questdb/listing/stamp.ts';
import type {ExecStandIn} from './exec-stand-in.ts';
import {recordedPaths} from './recorded-root.ts';
import {withStandInRoot} from './stand-in-root.ts';

// A server that writes between any two steps of a backup: the bytes that are read must still belong to the checkpoint.

let root: string;
let server: ExecStandIn;
withStandInRoot((place) => {
  ({root, server} = place);
});

const options = {
  hold: 'operation test/1',
  signal: new AbortController().signal,
  notice: () => undefined,
  nowMicros: () => Date.now() * 1000,
};
const trades = 'db/trades~4';

type Hooks = {frozen?: () => void; listed?: () => void};

/** Path and bytes of all files; the callbacks simulate writes of the server after two of the steps. */
async function backup(hooks: Hooks = {}): Promise<Map<string, Buffer>> {
  const frozen = await openQuestDbSource({root, http: server.url}).freeze(options);
  try {
    hooks.frozen?.();
    const files: FrozenFile[] = [];
    for await (const file of frozen.files()) files.push(file);
    hooks.listed?.();
    const bytes = new Map<string, Buffer>();
    for (const file of files) bytes.set(file.path, await read(frozen, file));
    await frozen.confirm();
    return bytes;
  } finally {
    await frozen.release();
  }
}

async function read(frozen: Frozen, file: FrozenFile): Promise<Buffer> {
  const blocks: Uint8Array[] = [];
  for await (const block of frozen.read(file)) blocks.push(Uint8Array.from(block));
  return Buffer.concat(blocks);
}

const inRoot = (path: string) => join(root, path);
const write = (path: string, bytes: Uint8Array) => {
  mkdirSync(dirname(inRoot(path)), {recursive: true});
  writeFileSync(inRoot(path), bytes);
};
const int32 = (...values: number[]) => Buffer.from(new Int32Array(values).buffer);
const int64 = (...values: number[]) => Buffer.from(new BigInt64Array(values.map(BigInt)).buffer);

/**
 * The sequencer and one segment of a WAL, written in QuestDB's order: records first, then the number of the last one.
 */
class Wal {
  readonly #version: 0 | 1;
  #events = Buffer.concat([int32(0, 0), int32(-1)]);
  #places = [8];
  readonly #records: Buffer[] = [];
  readonly #first: number;

  constructor(version: 0 | 1, first: number) {
    this.#version = version;
    this.#first = first;
    for (let txn = 1; txn < first; txn++) this.#record(1, 7, txn);
  }

  commit(count: number): void {
    for (let n = 0; n < count; n++) {
      const number = this.#places.length - 1;
      const body = Buffer.concat([int64(number), Buffer.alloc(20 + (number % 7), number)]);
      const head = this.#events.subarray(0, -4);
      this.#events = Buffer.concat([head, int32(body.length + 4), body, int32(-1)]);
      this.#places.push(this.#events.length - 4);
      this.#events.writeInt32LE(number, 0);
      this.#record(2, 0, number);
    }
    this.#save();
  }

  get last(): number {
    return this.#records.length;
  }

  /** The current files. */
  files(): Map<string, Buffer> {
    const found = new Map<string, Buffer>([
      [`${trades}/wal2/0/_event`, Buffer.from(this.#events)],
      [`${trades}/wal2/0/_event.i`, int64(...this.#places)],
    ]);
    const header = Buffer.concat([int32(this.#version), int64(this.last, 0), int32(10), Buffer.alloc(52)]);
    if (this.#version === 0) return found.set(`${trades}/txn_seq/_txnlog`, Buffer.concat([header, ...this.#records]));
    found.set(`${trades}/txn_seq/_txnlog`, header);
    for (let at = 0; at < this.#records.length; at += 10) {
      found.set(`${trades}/txn_seq/_txn_parts/${at / 10}`, Buffer.concat(this.#records.slice(at, at + 10)));
    }
    return found;
  }

  #record(writer: number, segment: number, number: number): void {
    const more = Buffer.alloc(this.#version === 0 ? 0 : 32, 1);
    this.#records.push(Buffer.concat([int64(0), int32(writer, segment, number), int64(1), more]));
  }

  #save(): void {
    for (const [path, bytes] of this.files()) write(path, bytes);
    write(`${trades}/wal2/0/id.d`, Buffer.alloc(this.last * 8, 5));
  }

  /** Simulates CHECKPOINT CREATE; no transaction of the segment is applied yet. */
  freeze(): void {
    write('.checkpoint/db/trades~4/txn_seq/_txn', int64(this.last));
    const txn = readFileSync(inRoot('.checkpoint/db/trades~4/_txn'));
    const header = txn.readBigInt64LE(0) % 2n === 0n ? 8 : 32;
    txn.writeBigInt64LE(BigInt(this.#first - 1), txn.readInt32LE(header) + 80);
    write('.checkpoint/db/trades~4/_txn', txn);
  }
}

describe('a growing WAL', () => {
  for (const version of [0, 1] as const) {
    for (const step of ['frozen', 'listed'] as const) {
      test(`is read as of the checkpoint if it grows after it is ${step}, log version ${version}`, async () => {
        const wal = new Wal(version, 4);
        wal.commit(12);
        wal.freeze();
        const wanted = wal.files();
        const found = await backup({[step]: () => wal.commit(500)});
        for (const [path, bytes] of wanted) {
          // The segment's own end is not used: the log determines it.
          if (path.includes('_txn_parts')) expect(found.get(path)?.subarray(0, bytes.length), path).toEqual(bytes);
          else expect(found.get(path), path).toEqual(bytes);
        }
        expect(found.get(`${trades}/wal2/0/id.d`)?.subarray(0, 15 * 8)).toEqual(Buffer.alloc(15 * 8, 5));
      });
    }
  }

  test('is refused when a transaction is missing', async () => {
    const wal = new Wal(0, 4);
    wal.commit(12);
    wal.freeze();
    truncateSync(inRoot(`${trades}/wal2/0/_event.i`), 12 * 8);
    await expect(backup()).rejects.toMatchObject({
      code: 'SOURCE_DAMAGED',
      message: expect.stringContaining('of table trades'),
    });
  });
});

/** The index of the column in a partition with late rows (its folder has a number), and in an open partition. */
const partitions = ['2024-01-01.1', '2024-01-02', '2024-01-03'];

describe('the index of a column', () => {
  test('covers exactly the rows of the checkpoint, whatever the server writes to its own index', async () => {
    const wanted = await backup();
    const spoil = () => {
      for (const partition of partitions) {
        const keys = `${trades}/${partition}/sym.k`;
        const bytes = readFileSync(inRoot(keys));
        const sizes = bytes.readBigInt64LE(9);
        // New rows: more keys, more blocks, and an unfinished write.
        bytes.writeBigInt64LE(sizes * 3n, 9);
        bytes.writeInt32LE(bytes.readInt32LE(21) + 9, 21);
        bytes.writeBigInt64LE(77n, 64);
        write(keys, Buffer.concat([bytes, Buffer.alloc(9 * 32, 3)]));
        write(`${trades}/${partition}/sym.v`, Buffer.alloc(Number(sizes) * 3, 9));
        appendFileSync(inRoot(`${trades}/${partition}/sym.d`), Buffer.alloc(4096, 1));
      }
    };
    for (const step of ['listed', 'frozen'] as const) {
      const found = await backup({[step]: spoil});
      for (const path of partitions.flatMap((partition) =>
        ['k', 'v'].map((end) => `${trades}/${partition}/sym.${end}`),
      )) {
        const bytes = wanted.get(path)!;
        // Space for the keys and blocks that the server's index has now.
        expect(found.get(path)!.subarray(0, bytes.length), path).toEqual(bytes);
        expect(
          found
            .get(path)!
            .subarray(bytes.length)
            .every((byte) => byte === 0),
          path,
        ).toBe(true);
      }
    }
  });

  test('is built also while the server is rebuilding its own, or has lost it', async () => {
    const wanted = await backup();
    for (const spoil of [
      () => truncateSync(inRoot(`${trades}/2024-01-02/sym.k`), 0),
      () => rmSync(inRoot(`${trades}/2024-01-02/sym.k`)),
      () => rmSync(inRoot(`${trades}/2024-01-02/sym.v`)),
    ]) {
      spoil();
      const found = await backup();
      for (const ending of ['k', 'v']) {
        const path = `${trades}/2024-01-02/sym.${ending}`;
        expect(found.get(path), path).toEqual(wanted.get(path));
      }
    }
  });

  test('keeps its stamp while its rows stay the same', async () => {
    const old = new Date(Date.now() - 60_000);
    for (const path of recordedPaths) utimesSync(inRoot(path), old, old);
    await new Promise((done) => setTimeout(done, settleMicros / 1000 + 50));
    const stamps = async () => {
      const frozen = await openQuestDbSource({root, http: server.url}).freeze(options);
      const found = new Map<string, string | undefined>();
      for await (const {path, stamp} of frozen.files()) if (/2024-01-02\/sym\.[kv]$/.test(path)) found.set(path, stamp);
      await frozen.release();
      return found;
    };
    const before = await stamps();
    expect(await stamps()).toEqual(before);
    appendFileSync(inRoot(`${trades}/2024-01-02/sym.d`), 'x');
    const after = await stamps();
    for (const [path, stamp] of before) if (stamp !== undefined) expect(after.get(path), path).not.toBe(stamp);
  });
});

test.each([`${trades}/2024-01-02/_pm`, `${trades}/2024-01-02/sym.pk`, `${trades}/_new`, `${trades}/newer/_x`])(
  'a file of an unknown kind is refused by its name: %s',
  async (path) => {
    write(path, Buffer.from('newer'));
    const named = path.endsWith('/_x') ? dirname(path) : path;
    await expect(backup()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: `${named} of table trades is a file that this bkp does not know`,
    });
    expect(server.held).toBeUndefined();
  },
);

test('known files without data of the backup are ignored', async () => {
  const beside = [
    ...['_meta', '_cv', '_txn', '.squash_ts', 'sym.d.77', 'dropped.k', 'data.parquet'].map(
      (name) => `2024-01-02/${name}`,
    ),
    ...['_todo_', '_txn_scoreboard', '_convert', '_meta.swp', 'old.c.3', 'wal3.lock', '.nfs0001'],
    ...['2023-01-01/ts.d', '2023-01-02.detached/ts.d', '2023-01-03.attachable/ts.d'],
  ].map((name) => `${trades}/${name}`);
  for (const path of beside) write(path, Buffer.from('x'));
  const found = await backup();
  expect(beside.filter((path) => found.has(path))).toEqual([]);
});

test('a view is restored when the checkpoint has only its definition', async () => {
  const view = 'few~7';
  for (const name of ['_txn', '_meta', '_name']) rmSync(inRoot(`.checkpoint/db/${view}/${name}`));
  write(`db/${view}/_txn`, Buffer.from('number'));
  const found = await backup();
  expect(found.get(`db/${view}/_view`)).toEqual(found.get(`.checkpoint/db/${view}/_view`));
  expect(found.get(`db/${view}/_txn`)?.toString()).toBe('number');
  expect([...found.keys()]).toEqual(expect.arrayContaining([`db/${view}/_name`, `db/${view}/txn_seq/_txnlog`]));
});

test('the index of a Parquet partition is copied unless it was written after the checkpoint', async () => {
  const partition = 'db/weekly~6/2024-W51.1';
  makeIndexed('weekly~6', 'id');
  const [keys, values] = ['k', 'v'].map((ending) => `${partition}/id.${ending}`) as [string, string];
  const old = new Date(Date.now() - 60_000);
  const age = async () => {
    for (const path of [keys, values]) utimesSync(inRoot(path), old, old);
    await new Promise((done) => setTimeout(done, settleMicros / 1000 + 50));
  };
  for (const path of [keys, values]) write(path, Buffer.from(`index ${path}`));
  await age();
  const found = await backup();
  for (const path of [keys, values]) expect(found.get(path)?.toString()).toBe(`index ${path}`);
  const refusal = {code: 'SOURCE_UNAVAILABLE', retryable: true, message: expect.stringContaining(keys)};
  for (const step of ['frozen', 'listed'] as const) {
    await age();
    await expect(backup({[step]: () => write(values, Buffer.from('newer'))}), step).rejects.toMatchObject(refusal);
  }
});

/** Marks a column of a recorded table as indexed in its metadata. */
function makeIndexed(table: string, column: string): void {
  const path = `.checkpoint/db/${table}/_meta`;
  const meta = readFileSync(inRoot(path));
  const columns = meta.readInt32LE(0);
  let at = 128 + columns * 32;
  for (let index = 0; index < columns; index++) {
    const length = meta.readInt32LE(at);
    const name = meta.toString('utf16le', at + 4, at + 4 + length * 2);
    at += 4 + length * 2;
    if (name !== column) continue;
    meta.writeInt32LE(12, 128 + index * 32);
    meta.writeInt32LE(1, 128 + index * 32 + 4);
    write(path, meta);
    for (const ending of ['c', 'o']) write(`db/${table}/${column}.${ending}`, Buffer.alloc(64, 1));
    return;
  }
  throw new Error(`${table} has no column ${column}`);
}

test('the definition of a materialized view is that of the checkpoint', async () => {
  for (const [name, text] of [
    ['_mv', 'definition'],
    ['_mv.s', 'state'],
  ] as const) {
    write(`.checkpoint/${trades}/${name}`, Buffer.from(text));
    write(`${trades}/${name}`, Buffer.from('newer'));
  }
  const found = await backup();
  expect(found.get(`${trades}/_mv`)?.toString()).toBe('definition');
  expect(found.get(`${trades}/_mv.s`)?.toString()).toBe('state');
});

test('bytes that are appended after the listing are not read', async () => {
  const wanted = await backup();
  const found = await backup({
    listed: () => {
      for (const name of readdirSync(root, {recursive: true, encoding: 'utf8'})) {
        if (!name.startsWith('.checkpoint') && statSync(inRoot(name)).isFile()) appendFileSync(inRoot(name), 'more');
      }
    },
  });
  expect([...found.keys()]).toEqual([...wanted.keys()]);
  for (const [path, bytes] of wanted) expect(found.get(path), path).toEqual(bytes);
});
