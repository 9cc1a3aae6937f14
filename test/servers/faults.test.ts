import {randomBytes} from 'node:crypto';
import {setTimeout as pause} from 'node:timers/promises';
import {HeadObjectCommand, PutObjectCommand} from '@aws-sdk/client-s3';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import type {Store} from '../../src/stores/index.ts';
import {openStore} from './open.ts';
import {type S3Server, startMinio} from './s3-server.ts';
import {type FaultyLine, startToxiproxy, type Toxic, type ToxicOptions, type Toxiproxy} from './toxiproxy.ts';

// Faults of the connection between the store and a real server. Each call must return the correct result or a clear
// error; it must never return wrong bytes or hang.

const megabyte = 1_000_000;
const body = randomBytes(4 * megabyte);
const timeouts = {connectMs: 1000, stallMs: 700, patienceMs: 2500};

let minio: S3Server;
let proxy: Toxiproxy;
let line: FaultyLine;
let bucket: string;
beforeAll(async () => {
  [minio, proxy] = await Promise.all([startMinio(), startToxiproxy()]);
  line = await proxy.line(minio);
  bucket = await minio.bucket();
  await (await openStore(minio, bucket)).put('there', body);
});
afterEach(() => line.heal());
afterAll(() => Promise.all([minio?.stop(), proxy?.stop()]));

/**
 * For calls that must succeed: written data may stay in the proxy for longer than the time-out of a dead
 * connection.
 */
const patient = {connectMs: 1000, stallMs: 3000, patienceMs: 60_000};

const open = (given = timeouts) => openStore(minio, bucket, {endpoint: line.endpoint, timeouts: given});

let puts = 0;

/** Every call of the store, each checking its result. */
const calls: Record<string, (store: Store) => Promise<void>> = {
  put: async (store) => {
    const key = `put/${++puts}`;
    expect(await store.put(key, body, {ifAbsent: true})).toBe('written');
    expect(body.equals(await (await openStore(minio, bucket)).get(key))).toBe(true);
  },
  'put of few bytes': async (store) => {
    expect(await store.put(`put/${++puts}`, Buffer.from('few'), {ifAbsent: true})).toBe('written');
  },
  get: async (store) => expect(body.equals(await store.get('there'))).toBe(true),
  'get of a range': async (store) => {
    const range = {start: megabyte, end: 3 * megabyte};
    expect(body.subarray(range.start, range.end).equals(await store.get('there', range))).toBe(true);
  },
  stat: async (store) => expect(await store.stat('there')).toMatchObject({sizeBytes: body.length}),
  list: async (store) => {
    const keys: string[] = [];
    for await (const {key} of store.list('')) keys.push(key);
    expect(keys).toContain('there');
  },
  delete: async (store) => expect(await store.delete(['not/there'])).toEqual([]),
};

type Fault = {toxic: Toxic; options?: ToxicOptions};

/** All calls concurrently, each with its own client, so that none uses the connection of another. */
async function outcomes(given = timeouts): Promise<Record<string, unknown>> {
  return outcomesOf(await Promise.all(Object.values(calls).map(() => open(given))));
}

/** Stores that had a response before, because a server that never responds counts as a wrong address. All reconnect. */
async function knownStores(): Promise<Store[]> {
  const stores = await Promise.all(Object.values(calls).map(() => open(patient)));
  for (const store of stores) await store.stat('there');
  await line.enabled(false);
  await line.enabled(true);
  return stores;
}

async function outcomesOf(stores: readonly Store[]): Promise<Record<string, unknown>> {
  const ended = await Promise.all(
    Object.entries(calls).map(async ([name, call], n) => {
      const outcome = await call(stores[n]!).then(
        () => 'right',
        (error: unknown) => error,
      );
      return [name, outcome] as const;
    }),
  );
  return Object.fromEntries(ended);
}

function expectUnavailable(outcome: unknown): void {
  expect(outcome).toBeInstanceOf(BkpError);
  expect(outcome).toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringContaining(line.endpoint),
    next: expect.any(String),
  });
}

describe('all calls succeed over a bad connection', () => {
  const slow: Record<string, Fault[]> = {
    latency: [{toxic: {type: 'latency', attributes: {latency: 200, jitter: 100}}}],
    'slow responses': [{toxic: {type: 'bandwidth', attributes: {rate: 3000}}}],
    'slow uploads': [{toxic: {type: 'bandwidth', attributes: {rate: 3000}}, options: {stream: 'upstream'}}],
    'responses in small pieces': [
      {toxic: {type: 'slicer', attributes: {average_size: 500, size_variation: 400, delay: 10}}},
    ],
    'slow ends': [{toxic: {type: 'slow_close', attributes: {delay: 500}}}],
    'responses always cut after 200 KB': [{toxic: {type: 'limit_data', attributes: {bytes: 200_000}}}],
    'half of the connections reset': [
      {toxic: {type: 'reset_peer', attributes: {timeout: 0}}, options: {toxicity: 0.5}},
    ],
    'half of the uploads cut after 2 MB': [
      {toxic: {type: 'limit_data', attributes: {bytes: 2 * megabyte}}, options: {stream: 'upstream', toxicity: 0.5}},
    ],
    'a third of the connections silent': [
      {toxic: {type: 'timeout', attributes: {timeout: 0}}, options: {toxicity: 0.33}},
    ],
  };
  test.each(Object.entries(slow))('%s', async (_, faults) => {
    const stores = await knownStores();
    for (const {toxic, options} of faults) await line.add(toxic, options);
    const right = Object.fromEntries(Object.keys(calls).map((name) => [name, 'right']));
    expect(await outcomesOf(stores)).toEqual(right);
  });
});

describe('every call over a permanently broken connection ends as an error', () => {
  const broken: Record<string, Fault> = {
    reset: {toxic: {type: 'reset_peer', attributes: {timeout: 0}}},
    'silent to the client': {toxic: {type: 'timeout', attributes: {timeout: 0}}},
    'silent to the server': {toxic: {type: 'timeout', attributes: {timeout: 0}}, options: {stream: 'upstream'}},
    'closed without a byte': {toxic: {type: 'timeout', attributes: {timeout: 100}}},
    'never a response': {toxic: {type: 'limit_data', attributes: {bytes: 0}}},
    'responses cut after 100 bytes': {toxic: {type: 'limit_data', attributes: {bytes: 100}}},
    'requests cut after 100 bytes': {
      toxic: {type: 'limit_data', attributes: {bytes: 100}},
      options: {stream: 'upstream'},
    },
  };
  test.each(Object.entries(broken))('%s', async (_, {toxic, options}) => {
    await line.add(toxic, options);
    for (const outcome of Object.values(await outcomes())) expectUnavailable(outcome);
  });

  test('switched off', async () => {
    await line.enabled(false);
    for (const outcome of Object.values(await outcomes())) expectUnavailable(outcome);
  });
});

describe('calls survive a connection that breaks in the middle and recovers', () => {
  const breaks: Record<string, Fault | 'off'> = {
    reset: {toxic: {type: 'reset_peer', attributes: {timeout: 0}}},
    'silent to the client': {toxic: {type: 'timeout', attributes: {timeout: 0}}},
    'silent to the server': {toxic: {type: 'timeout', attributes: {timeout: 0}}, options: {stream: 'upstream'}},
    'switched off': 'off',
  };
  test.each(Object.entries(breaks))('%s', async (_, fault) => {
    const stores = await knownStores();
    // Slow first, so that the break happens in the middle of the bodies.
    for (const stream of ['upstream', 'downstream'] as const)
      await line.add({type: 'bandwidth', attributes: {rate: 4000}}, {stream});
    const ended = outcomesOf(stores);
    await pause(300);
    if (fault === 'off') await line.enabled(false);
    else await line.add(fault.toxic, fault.options);
    await pause(1000);
    await line.heal();
    expect(Object.values(await ended).filter((outcome) => outcome !== 'right')).toEqual([]);
  });
});

describe('a response that is lost after the server has executed the request', () => {
  const isThere = (key: string) =>
    expect
      .poll(() =>
        minio.client.send(new HeadObjectCommand({Bucket: bucket, Key: key})).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);

  // Before a large body the server sends `100 Continue`, which has 25 bytes.
  test.each([
    [3, 0],
    [4 * megabyte, 30],
  ])('our own put of %i bytes is known as ours', async (sizeBytes, bytes) => {
    const key = `lost/${sizeBytes}`;
    await line.add({type: 'limit_data', attributes: {bytes}});
    const put = (await open(patient)).put(key, body.subarray(0, sizeBytes), {ifAbsent: true});
    await isThere(key);
    await line.heal();
    expect(await put).toBe('written');
  });

  test("another writer's object of the same key counts as existing", async () => {
    await line.add({type: 'limit_data', attributes: {bytes: 0}});
    const put = (await open(patient)).put('lost/race', Buffer.from('ours'), {ifAbsent: true});
    await isThere('lost/race');
    await minio.client.send(new PutObjectCommand({Bucket: bucket, Key: 'lost/race', Body: 'theirs'}));
    await line.heal();
    expect(await put).toBe('exists');
  });

  test('a removal succeeds, executed once or twice', async () => {
    await (await openStore(minio, bucket)).put('lost/gone', body);
    const store = await open(patient);
    await store.delete(['not/there']);
    await line.add({type: 'limit_data', attributes: {bytes: 0}});
    const removal = store.delete(['lost/gone']);
    await pause(500);
    await line.heal();
    expect(await removal).toEqual([]);
    expect(await store.stat('lost/gone')).toBeUndefined();
  });
});

test('an aborted signal immediately ends every call on a silent connection', async () => {
  await line.add({type: 'timeout', attributes: {timeout: 0}});
  for (const [name, call] of Object.entries(calls)) {
    const interrupt = new AbortController();
    const store = await openStore(minio, bucket, {
      endpoint: line.endpoint,
      signal: interrupt.signal,
      timeouts: {connectMs: 60_000, stallMs: 600_000, patienceMs: 600_000},
    });
    const ended = call(store).then(
      () => 'ended well',
      (error: unknown) => error,
    );
    await pause(100);
    const reason = new Error('the user pressed Ctrl-C');
    interrupt.abort(reason);
    expect(await ended, name).toBe(reason);
  }
});
