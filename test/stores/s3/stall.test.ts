import {once} from 'node:events';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {type AddressInfo, createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {openS3Store} from '../../../src/stores/index.ts';
import {fakeStore, secrets} from './fixture.ts';

const soon = {timeouts: {stallMs: 100, patienceMs: 0}};
/** Longer than a busy machine stands still itself: for what must not be taken for a stall. */
const later = {stallMs: 1000};
const unavailable = {code: 'STORE_UNAVAILABLE', retryable: true, cause: expect.stringContaining('nothing moved')};

test('every call to a server that never responds ends as an error', async () => {
  const {server, store} = await fakeStore({}, soon);
  server.fault({times: 100}, {kind: 'hang'});
  await expect(store.get('a')).rejects.toMatchObject(unavailable);
  await expect(store.put('a', Buffer.alloc(3_000_000))).rejects.toMatchObject(unavailable);
  await expect(store.stat('a')).rejects.toMatchObject(unavailable);
  await expect(store.delete(['a'])).rejects.toMatchObject(unavailable);
  await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(unavailable);
});

test('a stalled body continues with a request for the rest', async () => {
  const {server, store} = await fakeStore({}, {timeouts: later});
  const body = Buffer.alloc(500_000, 3);
  await store.put('a', body);
  server.fault({call: 'GetObject'}, {kind: 'stallBody', afterBytes: 200_000});
  expect(body.equals(await store.get('a'))).toBe(true);
  expect(server.requests.at(-1)?.range).toBe('bytes=200000-');
});

test('a stalled listing is requested again', async () => {
  const {server, store} = await fakeStore({}, {timeouts: {stallMs: 100}});
  await store.put('a', Buffer.from('1'));
  server.fault({call: 'ListObjectsV2'}, {kind: 'stallBody', afterBytes: 100});
  const listed: string[] = [];
  for await (const {key} of store.list('')) listed.push(key);
  expect(listed).toEqual(['a']);
});

test('a connection that drops all data ends as an error', async () => {
  const hole = createServer(() => {}).listen(0, '127.0.0.1');
  await once(hole, 'listening');
  try {
    const endpoint = `http://127.0.0.1:${(hole.address() as AddressInfo).port}`;
    const store = await openS3Store({bucket: 'b', root: '', endpoint, credentials: secrets, ...soon});
    await expect(store.put('a', Buffer.alloc(20_000_000))).rejects.toMatchObject(unavailable);
    // TLS is part of connecting.
    const overTls = {
      bucket: 'b',
      root: '',
      endpoint: endpoint.replace('http:', 'https:'),
      credentials: secrets,
      ...soon,
    };
    await expect(
      (await openS3Store({...overTls, timeouts: {stallMs: 100_000, connectMs: 100, patienceMs: 0}})).get('a'),
    ).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      cause: expect.stringContaining('no connection within'),
    });
  } finally {
    hole.close();
  }
});

test('a search for credentials that never ends ends every call as an error', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-credentials-'));
  const before = {...process.env};
  try {
    writeFileSync(join(folder, 'config'), '[profile slow]\ncredential_process = sleep 3\n');
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
    Object.assign(process.env, {AWS_CONFIG_FILE: join(folder, 'config'), AWS_PROFILE: 'slow'});
    const {server} = await fakeStore();
    const store = await openS3Store({bucket: server.bucket, root: '', endpoint: server.endpoint, ...soon});
    await expect(store.get('a')).rejects.toMatchObject(unavailable);
    expect(server.requests).toEqual([]);
  } finally {
    process.env = before;
    rmSync(folder, {recursive: true});
  }
});

test('waiting for the limit does not count as a stall', async () => {
  const {server, store} = await fakeStore(
    {},
    {
      timeouts: {...later, patienceMs: 0},
      limits: () => ({uploadBytesPerSecond: 8000, downloadBytesPerSecond: 8000}),
    },
  );
  const body = Buffer.alloc(12_000, 1);
  await store.put('a', body);
  expect(body.equals(await store.get('a'))).toBe(true);
  // What came at once is waited for before the next: longer than a stall.
  server.objects.put('b', Buffer.alloc(30_000, 2));
  expect((await store.get('b')).length).toBe(30_000);
});

test('a signal ends requests and waits immediately, with its reason', async () => {
  for (const fault of ['hang', 'reset'] as const) {
    const controller = new AbortController();
    const {server, store} = await fakeStore({}, {signal: controller.signal});
    server.fault({times: 100}, {kind: fault});
    const reason = new Error('cancelled');
    setTimeout(() => controller.abort(reason), 50);
    await expect(store.get('a')).rejects.toBe(reason);
    await expect(store.put('a', Buffer.from('1'))).rejects.toBe(reason);
  }
});
