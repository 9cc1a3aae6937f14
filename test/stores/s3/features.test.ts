import {describe, expect, test} from 'vitest';
import {probeS3} from '../../../src/stores/index.ts';
import {openVault} from '../../../src/vault/index.ts';
import {storeContract} from '../contract.ts';
import {fakeServer, fakeStore, secrets, storeOn} from './fixture.ts';

/** The features that bkp can do without, except conditional puts, which the contract requires. */
const optional = ['x-amz-checksum', 'DeleteObjects', 'range', 'if-match', 'encoding-type', 'list-type'];

describe('the contract, on a server that refuses', () => {
  describe.each(optional)('%s', (what) => {
    storeContract(async () => storeOn(await fakeServer({unsupported: new Set([what]), pageKeys: 3})));
  });

  describe('all of it', () => {
    storeContract(async () => storeOn(await fakeServer({unsupported: new Set(optional), pageKeys: 3})));
  });
});

const listed = async (store: Awaited<ReturnType<typeof storeOn>>) => {
  const keys: string[] = [];
  for await (const {key} of store.list('')) keys.push(key);
  return keys;
};

test('a refused feature is requested once, and named', async () => {
  const {server, store} = await fakeStore({unsupported: new Set(['if-none-match', 'DeleteObjects'])});
  expect(store.refusesConditions?.()).toBe(false);
  for (const key of ['a', 'b', 'c']) expect(await store.put(key, Buffer.from(key), {ifAbsent: true})).toBe('written');
  expect(store.refusesConditions?.()).toBe(true);
  expect(await store.delete(['a', 'b'])).toEqual([]);
  expect(await store.delete(['c'])).toEqual([]);
  expect(server.objects.keys()).toEqual([]);
  const {requests, lacking} = store.traffic!();
  expect(requests).toMatchObject({PutObject: 4, DeleteObjects: 1, DeleteObject: 3});
  expect(lacking).toEqual([expect.stringContaining('If-None-Match'), expect.stringContaining('DeleteObjects')]);
});

test('only refused features are left out', async () => {
  const {server, store} = await fakeStore({unsupported: new Set(['x-amz-checksum'])});
  await store.put('a', Buffer.from('1'), {ifAbsent: true});
  expect(await store.put('a', Buffer.from('2'), {ifAbsent: true})).toBe('exists');
  expect(store.refusesConditions?.()).toBe(false);
  expect(server.requests.at(-1)!.headers['if-none-match']).toBe('*');
  expect(store.traffic!().lacking).toEqual([expect.stringContaining('checksums')]);
});

test('a server that refuses a required call is STORE_REFUSED, and the error names the call', async () => {
  const {store} = await fakeStore({unsupported: new Set(['PutObject'])});
  await expect(store.put('a', Buffer.from('1'), {ifAbsent: true})).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('does not support PutObject'),
  });
  expect(store.traffic!().lacking).toBeUndefined();
});

test('a configured lock is not an optional feature', async () => {
  const {store} = await fakeStore({unsupported: new Set(['x-amz-object-lock-mode'])}, {lockDays: 30});
  await expect(store.put('a', Buffer.from('1'), {ifAbsent: true, retained: true})).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('no object lock'),
  });
});

test('removal works on a server without object lock', async () => {
  const {server, store} = await fakeStore({unsupported: new Set(['GetObjectLockConfiguration'])});
  server.objects.put('a', Buffer.from('1'));
  expect(await store.delete(['a'])).toEqual([]);
  expect(store.traffic!().requests).toEqual({GetObjectLockConfiguration: 1, DeleteObjects: 1});
});

test('a refused removal of a single object is STORE_DENIED, and the error names the permission', async () => {
  const {store} = await fakeStore({unsupported: new Set(['DeleteObjects']), denied: new Set(['DeleteObject'])});
  await store.put('a', Buffer.from('1'));
  await expect(store.delete(['a'])).rejects.toMatchObject({
    code: 'STORE_DENIED',
    next: expect.stringContaining('s3:DeleteObject'),
  });
});

test('version 1 of listings is read to its end, also as the response to version 2', async () => {
  const keys = Array.from({length: 10}, (_, n) => `k${n}`);
  for (const unsupported of [['list-type'], ['list-type', 'encoding-type']]) {
    const {server, store} = await fakeStore({unsupported: new Set(unsupported), pageKeys: 3});
    for (const key of keys) server.objects.put(key, Buffer.from(key));
    expect(await listed(store)).toEqual(keys);
  }
  const {server, store} = await fakeStore({ignoresListType: true, pageKeys: 3});
  for (const key of keys) server.objects.put(key, Buffer.from(key));
  expect(await listed(store)).toEqual(keys);
});

test('a vault on a server that refuses conditional puts says so in its header, and creates no name twice', async () => {
  const {server, store} = await fakeStore({unsupported: new Set(['if-none-match'])});
  const instant = {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: async () => {},
    every: () => () => {},
  };
  await openVault({store, create: true, clock: instant});
  expect(JSON.parse(server.objects.get('bkp.json')!.body.toString())).toMatchObject({conditionalWrites: false});
  const again = await openVault({store: await storeOn(server), clock: instant});
  const writer = await again.writer({purpose: 'define'});
  expect(await writer.putDocument('.backups/collections/c/definition/00000001', {n: 1})).toBe('written');
  expect(await writer.putDocument('.backups/collections/c/definition/00000001', {n: 2})).toBe('exists');
  await writer.close();
});

test('a vault that was copied to such a server creates no name twice either', async () => {
  const server = await fakeServer();
  await openVault({store: await storeOn(server), create: true});
  expect(JSON.parse(server.objects.get('bkp.json')!.body.toString())).not.toHaveProperty('conditionalWrites');
  server.settings.unsupported.add('if-none-match');
  const vault = await openVault({store: await storeOn(server)});
  const writer = await vault.writer({purpose: 'define'});
  expect(await writer.putDocument('.backups/collections/c/definition/00000001', {n: 1})).toBe('written');
  expect(await writer.putDocument('.backups/collections/c/definition/00000001', {n: 2})).toBe('exists');
  await writer.close();
});

test('store check names refused features, but not as a fault', async () => {
  const server = await fakeServer({
    unsupported: new Set(['if-none-match', ...optional, 'GetBucketVersioning', 'GetObjectLockConfiguration']),
  });
  const {bucket, endpoint} = server;
  const points = await probeS3({bucket, endpoint, root: '', credentials: secrets, timeouts: {patienceMs: 0}});
  expect(points.filter(({ok}) => !ok)).toEqual([]);
  const found = points.map(({what}) => what).join('\n');
  for (const what of ['DeleteObjects', 'checksums', 'ranged reads', 'ListObjectsV2']) expect(found).toContain(what);
  expect(points.find(({what}) => what === 'conditional put')?.detail).toContain('refused by this server');
  expect(server.objects.keys()).toEqual([]);
});

test('an object that store check could not remove does not prevent a new vault', async () => {
  const server = await fakeServer({denied: new Set(['DeleteObjects'])});
  const {bucket, endpoint} = server;
  await probeS3({bucket, endpoint, root: 'r', credentials: secrets, timeouts: {patienceMs: 0}});
  expect(server.objects.keys()).toEqual(['r/probe/object']);
  const store = await storeOn(server, {root: 'r'});
  const vault = await openVault({store, create: true});
  expect(vault.id).toMatch(/^[0-9a-f]{32}$/);
  // Any other object prevents it.
  const other = await fakeServer({denied: new Set(['DeleteObjects'])});
  await probeS3({bucket, endpoint: other.endpoint, root: '', credentials: secrets, timeouts: {patienceMs: 0}});
  other.objects.put('zebra.txt', Buffer.from('1'));
  await expect(openVault({store: await storeOn(other), create: true})).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('zebra.txt'),
  });
});
