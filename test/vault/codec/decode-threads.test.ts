import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout} from 'node:timers/promises';
import {pathToFileURL} from 'node:url';
import {expect, onTestFinished, test, vi} from 'vitest';
import {ThreadPool} from '../../../src/lib/thread-pool.ts';
import type {StoredBase} from '../../../src/vault/codec/decode.ts';
import {type DecodeJob, DecodeThreads, idleMs} from '../../../src/vault/codec/decode-threads.ts';
import {GroupDecoder} from '../../../src/vault/codec/group-decoder.ts';
import {type ChunkEncoding, chunkEncodings} from '../../../src/vault/format/entry.ts';
import {chunkId} from '../../../src/vault/format/hash.ts';
import {compress} from '../../../src/vault/format/zstd.ts';
import {backup, changed, copyOf, keysOf, newStore, noise, open, readAll} from '../helpers.ts';

const mebi = 1024 * 1024;

type Part = {plain: Uint8Array; stored: Uint8Array; encoding: ChunkEncoding; base?: StoredBase};

/** A job of these chunks, as if they were consecutive in a pack. */
function jobOf(parts: readonly Part[]) {
  let at = 0;
  const chunks = parts.map(({plain, stored, encoding, base}) => {
    const chunk = {
      ...{id: chunkId(plain), at, storedBytes: stored.length, plainBytes: plain.length, encoding},
      // A copy: what a job brings is moved to the thread.
      ...(base === undefined ? {} : {base: {...base, stored: new Uint8Array(base.stored)}}),
    };
    at += stored.length;
    return chunk;
  });
  const into = new SharedArrayBuffer(parts.reduce((sum, {plain}) => sum + plain.length, 0) + 10);
  return {stored: Buffer.concat(parts.map(({stored}) => stored)), chunks, into};
}

async function parts(): Promise<Part[]> {
  const [one, two] = [noise(1000, 1), Buffer.alloc(200_000, 'row ')];
  const three = changed(one, 5, 500);
  const {plain, zstd, zstdWithBase} = chunkEncodings;
  const base = {id: chunkId(one), plainBytes: one.length, encoding: plain, stored: new Uint8Array(one)};
  return [
    {plain: one, stored: one, encoding: plain},
    {plain: two, stored: await compress(two, {level: 1}), encoding: zstd},
    {plain: three, stored: await compress(three, {level: 3, dictionary: one}), encoding: zstdWithBase, base},
  ];
}

test('chunks of every encoding are decoded one after the other into the given memory', async () => {
  const all = await parts();
  const threads = new DecodeThreads();
  for (let round = 0; round < 5; round++) {
    const job = jobOf(all);
    expect(await threads.decode(job)).toBe(true);
    const expected = Buffer.concat([...all.map(({plain}) => plain), Buffer.alloc(10)]);
    expect(Buffer.from(job.into).equals(expected)).toBe(true);
  }
});

test.each([0, 1, 2])('a job whose chunk %i is damaged fails, and the thread handles later jobs', async (wrong) => {
  const threads = new DecodeThreads();
  const damaged = (await parts()).map((part, at) =>
    at === wrong ? {...part, stored: changed(part.stored, part.stored.length - 9)} : part,
  );
  const foreign = (await parts()).map((part, at) => (at === wrong ? {...part, plain: changed(part.plain, 3)} : part));
  expect(await threads.decode(jobOf(damaged))).toBe(false);
  expect(await threads.decode(jobOf(foreign))).toBe(false);
  expect(await threads.decode(jobOf(await parts()))).toBe(true);
  // Without memory for the result.
  expect(await threads.decode({...jobOf(damaged), into: undefined})).toBe(false);
  expect(await threads.decode({...jobOf(foreign), into: undefined})).toBe(false);
  expect(await threads.decode({...jobOf(await parts()), into: undefined})).toBe(true);
});

test('a job that comes after the threads were idle is decoded', async () => {
  const threads = new DecodeThreads();
  for (let round = 0; round < 2; round++) {
    expect(await threads.decode(jobOf(await parts()))).toBe(true);
    await setTimeout(2 * idleMs);
  }
});

test('threads without work end when they are told to, and those with work stay', async () => {
  const all = await parts();
  // They would end on their own.
  vi.useFakeTimers({toFake: ['setTimeout']});
  onTestFinished(() => void vi.useRealTimers());
  const running = () => readdirSync('/proc/self/task').length;
  const threads = new DecodeThreads();
  const before = running();
  const decoding = threads.decode(jobOf(all));
  threads.end();
  expect(await decoding).toBe(true);
  expect(running()).toBeGreaterThan(before);
  threads.end();
  // A poll of vitest lets faked time pass.
  for (const until = performance.now() + 10_000; running() > before && performance.now() < until; )
    await new Promise(setImmediate);
  expect(running()).toBe(before);
  expect(await threads.decode(jobOf(all))).toBe(true);
});

test('groups of chunks of the usual sizes are decoded into the same memory', async () => {
  const group = async (bytes: number): Promise<Part> => {
    const plain = Buffer.alloc(bytes, 'row ');
    return {plain, stored: await compress(plain, {level: 1}), encoding: chunkEncodings.zstd};
  };
  const decoder = new GroupDecoder(3 * mebi);
  const memories = new Set<ArrayBufferLike>();
  for (const bytes of [3 * mebi, mebi, 2.5 * mebi, 3 * mebi]) {
    const {chunks, release} = (await decoder.decode(jobOf([await group(bytes)])))!;
    memories.add(chunks[0]!.buffer);
    expect(chunks.map(({length}) => length)).toEqual([bytes]);
    release!();
  }
  expect(memories.size).toBe(1);
});

test('two chunks can have one base', async () => {
  const [part] = (await parts()).slice(-1);
  const job = jobOf([part!, part!]);
  const [first, second] = job.chunks;
  expect(await new DecodeThreads().decode({...job, chunks: [first!, {...second!, base: first!.base}]})).toBe(true);
});

test('the built thread decodes too', async () => {
  const built = pathToFileURL(join(import.meta.dirname, '../../../dist/main.js')).href;
  const threads = new ThreadPool<DecodeJob, boolean>('decode-thread', built, {threads: 1});
  try {
    expect(await threads.run(jobOf(await parts()))).toBe(true);
  } finally {
    await threads.end();
  }
});

/** Enough to start threads and to reuse borrowed memory, in groups of several sizes. */
const large = Array.from({length: 44}, (_, seed) => noise(seed % 3 === 0 ? 3 * mebi : mebi, seed));

test('a long stream is read back unchanged, with borrowed memory and without', async () => {
  const store = newStore();
  const vault = await open(store);
  const first = await backup(
    vault,
    'one',
    large.map((bytes) => ({bytes})),
  );
  const second = large.map((bytes, n) => changed(bytes, n * 1000));
  const recipe = await backup(
    vault,
    'two',
    second.map((bytes, n) => ({bytes, like: first.chunks[n]!})),
  );
  const expected = second.map((bytes) => chunkId(bytes));
  let at = 0;
  for await (const chunk of vault.read(recipe, {borrowed: true})) expect(chunkId(chunk)).toBe(expected[at++]);
  expect(at).toBe(large.length);
  // A reader that stops halfway keeps no memory from the next one.
  for await (const _ of vault.read(recipe, {borrowed: true})) break;
  const kept: Uint8Array[] = [];
  for await (const chunk of vault.read(recipe)) kept.push(chunk);
  expect(kept.map((bytes) => chunkId(bytes))).toEqual(expected);
});

test('borrowed chunks that the main thread decoded are freed, and others stay', async () => {
  const vault = await open(newStore());
  // One that is stored uncompressed, and two compressed ones.
  const plain = [noise(mebi, 1), Buffer.alloc(200_000, 'row '), Buffer.alloc(300_000, 'line ')];
  const recipe = await backup(
    vault,
    'one',
    plain.map((bytes) => ({bytes})),
  );
  for (const borrowed of [true, false]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of vault.read(recipe, {borrowed})) {
      expect(chunkId(chunk)).toBe(chunkId(plain[chunks.length]!));
      chunks.push(chunk);
    }
    expect(chunks.map(({length}) => length)).toEqual(borrowed ? [0, 0, 0] : plain.map(({length}) => length));
  }
});

test('damage late in a long stream is reported with its chunk, after the correct bytes before it', async () => {
  const store = newStore();
  const vault = await open(store);
  const recipe = await backup(
    vault,
    'one',
    large.map((bytes) => ({bytes})),
  );
  const ids = large.map((bytes) => chunkId(bytes));
  const damaged = await copyOf(store);
  for (const key of await keysOf(damaged)) {
    const bytes = Buffer.from(await damaged.get(key));
    const at = bytes.indexOf(large[40]!.subarray(0, 1000));
    if (at < 0) continue;
    bytes[at + 500]! ^= 1;
    await damaged.put(key, bytes);
  }
  const reader = await open(damaged, {create: false});
  let read = 0;
  const reading = async () => {
    for await (const chunk of reader.read(recipe, {borrowed: true})) expect(chunkId(chunk)).toBe(ids[read++]);
  };
  await expect(reading()).rejects.toMatchObject({code: 'OBJECT_DAMAGED', context: {chunk: ids[40]}});
  expect(read).toBeLessThanOrEqual(40);
  expect((await readAll(vault, recipe)).equals(Buffer.concat(large))).toBe(true);
});
