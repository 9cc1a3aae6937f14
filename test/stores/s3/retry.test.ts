import {expect, test} from 'vitest';
import type {Failure, FailureKind} from '../../../src/stores/s3/connection/failure.ts';
import {type Try, withRetries} from '../../../src/stores/s3/connection/retry.ts';
import {fakeStore} from './fixture.ts';

class Broken extends Error {
  readonly failure: Failure;
  constructor(kind: FailureKind, more: Partial<Failure> = {}) {
    super(kind);
    this.failure = {kind, name: kind, message: kind, ...more};
  }
}

type Run = {tries: number; waits: number[]; nowMs: number; error?: unknown};

/** Runs `work` on a clock that stands still but for the waits and `eachTryMs`. */
async function run(
  work: (current: Try) => void,
  {random = 0.999, eachTryMs = 0, patienceMs = 60_000, known = true} = {},
): Promise<Run> {
  const seen: Run = {tries: 0, waits: [], nowMs: 0};
  const clock = {
    monotonicMs: () => seen.nowMs,
    async sleep(durationMs: number) {
      seen.waits.push(durationMs);
      seen.nowMs += durationMs;
    },
  };
  try {
    await withRetries(
      async (current) => {
        seen.tries += 1;
        seen.nowMs += eachTryMs;
        work(current);
      },
      {
        clock,
        random: () => random,
        patienceMs,
        signal: undefined,
        known: () => known,
        failureOf: (error) => (error instanceof Broken ? error.failure : undefined),
      },
    );
  } catch (error) {
    seen.error = error;
  }
  return seen;
}

const always = (kind: FailureKind, more?: Partial<Failure>) => () => {
  throw new Broken(kind, more);
};

test('waits double up to a limit, and are random between 0 and that', async () => {
  const longest = await run(always('connection'));
  expect(longest.tries).toBe(10);
  expect(longest.waits.map((wait) => Math.round(wait / 0.999))).toEqual([
    100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000,
  ]);
  const shortest = await run(always('connection'), {random: 0});
  expect(shortest.waits).toEqual(Array(9).fill(0));
});

test('slow tries end with the patience, counted from the first failure', async () => {
  // Three tries of 30 s: after the third a minute has passed since the first failed.
  const slow = await run(always('connection'), {eachTryMs: 30_000, random: 0.5});
  expect(slow.tries).toBe(3);
  expect(slow.error).toBeInstanceOf(Broken);
});

test.each([
  ['throttled', 10],
  ['server', 10],
  ['connection', 10],
  ['conflict', 10],
  ['refused connection', 10],
  ['unknown host', 10],
  ['unexpected response', 3],
  ['denied', 1],
  ['wrong key', 1],
  ['no bucket', 1],
  ['wrong region', 1],
  ['missing', 1],
  ['exists', 1],
  ['full', 1],
  ['certificate', 1],
  ['clock', 1],
  ['expired', 1],
] satisfies [FailureKind, number][])('%s is worth %i tries', async (kind, tries) => {
  expect((await run(always(kind), {random: 0})).tries).toBe(tries);
});

test('a server that has never responded is given up after few tries', async () => {
  for (const kind of ['refused connection', 'unknown host'] as const) {
    expect((await run(always(kind), {known: false})).tries).toBe(3);
  }
  expect((await run(always('connection'), {known: false})).tries).toBe(6);
});

test('a pause that the server requests is kept, up to a limit', async () => {
  const asked = await run(always('throttled', {retryAfterMs: 7000}), {random: 0});
  expect(new Set(asked.waits)).toEqual(new Set([7000]));
  expect((await run(always('throttled', {retryAfterMs: 3_600_000}), {random: 0})).waits).toEqual([30_000, 30_000]);
});

test('progress resets tries and patience', async () => {
  const end = await run(
    (current) => {
      if (current.number <= 40) current.progressed();
      throw new Broken('connection');
    },
    {eachTryMs: 25_000, random: 0},
  );
  expect(end.tries).toBe(40 + 3);
});

test('an error that the server did not cause is thrown unchanged, without a retry', async () => {
  const fault = new TypeError('ours');
  const end = await run(() => {
    throw fault;
  });
  expect(end).toMatchObject({tries: 1, error: fault});
});

test('every call survives a server that fails twice', async () => {
  const {server, store} = await fakeStore({objectLock: true}, {lockDays: 1});
  await store.put('a', Buffer.from('1'));
  for (const call of ['PutObject', 'GetObject', 'ListObjectsV2', 'DeleteObjects', 'HeadObject', 'PutObjectRetention']) {
    server.fault({call}, {kind: 'answer', status: 500, code: 'InternalError'});
    server.fault({call}, {kind: 'reset'});
  }
  await store.put('b', Buffer.from('2'), {retained: true});
  expect(Buffer.from(await store.get('b')).toString()).toBe('2');
  await store.retain?.(['a']);
  for await (const {key} of store.list('')) expect(['a', 'b']).toContain(key);
  expect(await store.delete(['c'])).toEqual([]);
  expect(store.traffic?.().requests).toEqual({
    PutObject: 4,
    GetObject: 3,
    HeadObject: 4,
    PutObjectRetention: 3,
    ListObjectsV2: 3,
    DeleteObjects: 3,
  });
});

test('throttling and a conflicting conditional write are retried', async () => {
  const {server, store} = await fakeStore();
  server.fault({}, {kind: 'answer', status: 503, code: 'SlowDown', headers: {'retry-after': '0'}});
  server.fault({}, {kind: 'answer', status: 409, code: 'ConditionalRequestConflict'});
  expect(await store.put('a', Buffer.from('1'), {ifAbsent: true})).toBe('written');
  expect(server.requests).toHaveLength(3);
});

test('requests never exceed the concurrency limit', async () => {
  const {server, store} = await fakeStore({}, {requestsAtOnce: 2});
  let now = 0;
  let most = 0;
  // Counted where they wait for a slot no longer: between two marks of the traffic.
  const body = Buffer.alloc(400_000);
  for (let n = 0; n < 8; n++) {
    server.fault({call: 'PutObject', skip: n}, {kind: 'run', action: () => (most = Math.max(most, ++now))});
  }
  await Promise.all(
    Array.from({length: 8}, (_, n) =>
      store.put(`k/${n}`, body).then(() => {
        now -= 1;
      }),
    ),
  );
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(2);
});
