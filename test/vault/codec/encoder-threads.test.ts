import {afterEach, expect, test} from 'vitest';
import {decodeChunk} from '../../../src/vault/codec/decode.ts';
import type {PlainChunk} from '../../../src/vault/codec/encode.ts';
import {EncoderThreads} from '../../../src/vault/codec/encoder-threads.ts';
import {chunkEncodings} from '../../../src/vault/format/entry.ts';
import {chunkId} from '../../../src/vault/format/hash.ts';
import type {Piece} from '../../../src/vault/index.ts';
import {backup, changed, findings, newStore, noise, open, readAll} from '../helpers.ts';
import {recordsOf, shopRows} from './records.ts';

const mebi = 1024 * 1024;

let threads: EncoderThreads | undefined;
afterEach(() => threads?.close());

test('a large stream of pieces of all sizes, with columns and similar chunks, is read back unchanged', async () => {
  const store = newStore();
  const vault = await open(store);
  const column = {widthBytes: 8};
  const counted = Buffer.from(BigInt64Array.from({length: 300_000}, (_, row) => BigInt(row) * 1000n).buffer);
  const first: Piece[] = [
    ...Array.from({length: 60}, (_, seed) => ({bytes: noise(100_000, seed)})),
    {bytes: noise(4 * mebi, 77)},
    ...Array.from({length: 19}, (_, at) => ({bytes: counted.subarray(at * 131_072, (at + 1) * 131_072), column})),
    ...Array.from({length: 20}, (_, seed) => ({bytes: Buffer.alloc(200_000 * (seed % 7), `row ${seed} `)})),
    ...Array.from({length: 500}, (_, seed) => ({bytes: noise(seed, seed)})),
  ];
  const one = await backup(vault, 'one', first);
  const ids = await vault.chunkIds(one);
  // Differences. Some of them do not fit into a batch together with their base.
  const second = first.slice(0, 61).map(({bytes}, at) => ({bytes: changed(bytes, at), like: ids[at]!}));
  const two = await backup(vault, 'two', [...second, ...second.map(({bytes}) => ({bytes: changed(bytes, 5)}))]);
  const reader = await open(store);
  expect((await readAll(reader, one)).equals(Buffer.concat(first.map(({bytes}) => bytes)))).toBe(true);
  const restored = (await readAll(reader, two)).subarray(0, 60 * 100_000 + 4 * mebi);
  expect(restored.equals(Buffer.concat(second.map(({bytes}) => bytes)))).toBe(true);
  expect(await findings(reader)).toEqual([]);
});

test('every stored form that the threads return decodes to the chunk', async () => {
  threads = new EncoderThreads({threads: 2, level: 1});
  const counted = Buffer.from(BigInt64Array.from({length: 200_000}, (_, row) => BigInt(row) * 1000n).buffer);
  const bases = Array.from({length: 30}, (_, seed) => noise(90_000, seed));
  const baseOf = (plain: Buffer) => ({
    ...{id: chunkId(plain), plainBytes: plain.length, encoding: chunkEncodings.plain},
    stored: plain,
  });
  const damaged = {...baseOf(bases[0]!), stored: changed(bases[0]!, 7)};
  const chunks: Omit<PlainChunk, 'id'>[] = [
    ...bases.map((plain) => ({plain})),
    ...bases.map((plain, at) => ({plain: changed(plain, at), base: baseOf(plain)})),
    {plain: changed(bases[0]!, 50), base: damaged},
    ...Array.from({length: 12}, (_, at) => ({
      plain: counted.subarray(at * 131_072, (at + 1) * 131_072),
      column: {number: 1, widthBytes: 8},
    })),
    ...Array.from({length: 9}, (_, at) => ({plain: Buffer.alloc(150_000 * (at + 1), `row ${at} `)})),
    {plain: recordsOf(shopRows(1000), 'key'), records: 'key'},
  ];
  const found = new Set<string>();
  await Promise.all(
    chunks.map(async ({plain, ...rest}) => {
      const id = chunkId(plain);
      const {stored, encoding, base} = await threads!.encode({id, plain, ...rest});
      found.add(`${encoding} ${base === undefined}`);
      const basePlain = base === undefined ? undefined : bases.find((bytes) => chunkId(bytes) === base);
      const decoded = await decodeChunk({id, plainBytes: plain.length, encoding}, stored, basePlain);
      expect(Buffer.compare(decoded, plain)).toBe(0);
    }),
  );
  // Plain, zstd, a difference, filtered; one with a damaged base is plain.
  expect([...found].sort()).toEqual(['0 true', '1 true', '2 false', '3 true']);
});

test('every piece is released once, in any order', async () => {
  const vault = await open(newStore());
  const given: number[] = [];
  const pieces = Array.from({length: 100}, (_, at) => ({
    // The vault has every other one already.
    bytes: noise(100_000, at >> 1),
    release: () => given.push(at),
  }));
  await backup(vault, 'one', pieces);
  expect(given.sort((one, other) => one - other)).toEqual(Array.from({length: 100}, (_, at) => at));
});

test('a chunk that does not match its id is refused, and the other chunks of its batch are encoded', async () => {
  threads = new EncoderThreads({threads: 1, level: 1});
  const [good, bad] = [noise(9000, 1), noise(9000, 2)];
  const encoded = await Promise.allSettled([
    threads.encode({id: chunkId(good), plain: good}),
    threads.encode({id: chunkId(good), plain: bad}),
    threads.encode({id: chunkId(bad), plain: bad}),
  ]);
  expect(encoded.map(({status}) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(encoded[1]).toMatchObject({reason: {code: 'OBJECT_DAMAGED'}});
});

test('a chunk in shared memory is read where it is, and refused if that memory is used again too early', async () => {
  threads = new EncoderThreads({threads: 1, level: 1});
  const memory = new SharedArrayBuffer(4 * mebi);
  const [one, two, three] = [recordsOf(shopRows(2000), 'rowid'), Buffer.alloc(300_000, 'row '), noise(300_000, 3)];
  const shared = [one, two, three].map((bytes, at) => {
    const view = Buffer.from(memory, at * mebi + 5, bytes.length);
    view.set(bytes);
    return view;
  });
  const encode = (plain: Uint8Array) => threads!.encode({id: chunkId(plain), plain, records: 'rowid'});
  for (const [at, {encoding, stored}] of (await Promise.all(shared.map(encode))).entries()) {
    const plain = shared[at]!;
    const chunk = {id: chunkId(plain), plainBytes: plain.length, encoding};
    expect(Buffer.compare(await decodeChunk(chunk, stored), plain)).toBe(0);
  }
  for (const plain of shared) {
    const early = encode(plain);
    plain[plain.length >> 1]! ^= 1;
    await expect(early).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  }
});

test('a result that arrives after close is ignored', async () => {
  threads = new EncoderThreads({threads: 1, level: 1});
  const plain = noise(9000, 1);
  const encode = () => threads!.encode({id: chunkId(plain), plain});
  await encode();
  const late = encode();
  late.catch(() => {});
  // The thread encodes the batch and replies while this thread is blocked.
  await new Promise(setImmediate);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  const closing = threads.close();
  await expect(late).rejects.toThrow('have ended');
  await closing;
});

test('a batch that cannot be handled rejects the chunks of every thread, and later ones', async () => {
  threads = new EncoderThreads({threads: 2, level: 19});
  const [one, two] = [noise(2 * mebi, 1), noise(2 * mebi, 2)];
  const others = [one, two].map((plain) => threads!.encode({id: chunkId(plain), plain}));
  const unsendable = {number: 1, widthBytes: (() => 8) as unknown as number};
  const fatal = threads.encode({id: chunkId(one), plain: one, column: unsendable});
  const settled = await Promise.allSettled([...others, fatal]);
  expect(settled.map(({status}) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  await expect(threads.encode({id: chunkId(one), plain: one})).rejects.toThrow(/could not be cloned/);
});

test('close rejects waiting and later chunks', async () => {
  threads = new EncoderThreads({threads: 1, level: 19});
  const chunks = Array.from({length: 40}, (_, seed) => noise(mebi, seed));
  const all = Promise.allSettled(chunks.map((plain) => threads!.encode({id: chunkId(plain), plain})));
  await threads.close();
  expect((await all).filter(({status}) => status === 'rejected').length).toBeGreaterThan(30);
  await expect(threads.encode({id: chunkId(chunks[0]!), plain: chunks[0]!})).rejects.toThrow('have ended');
});

test('chunks in shared memory and others are encoded together, with their bases', async () => {
  threads = new EncoderThreads({threads: 1, level: 1});
  const bases = Array.from({length: 12}, (_, seed) => noise(mebi, seed));
  const results = await Promise.all(
    bases.map((bytes, at) => {
      const plain = at % 3 === 0 ? Buffer.alloc(mebi) : Buffer.from(new SharedArrayBuffer(mebi));
      plain.set(changed(bytes, at));
      const base = {id: chunkId(bytes), plainBytes: mebi, encoding: chunkEncodings.plain, stored: bytes};
      return threads!.encode({id: chunkId(plain), plain, base});
    }),
  );
  for (const [at, {encoding, stored}] of results.entries()) {
    const plain = changed(bases[at]!, at);
    expect(encoding).toBe(chunkEncodings.zstdWithBase);
    const decoded = await decodeChunk({id: chunkId(plain), plainBytes: mebi, encoding}, stored, bases[at]!);
    expect(Buffer.compare(decoded, plain)).toBe(0);
  }
});
