import {expect, test} from 'vitest';
import type {FaultEffect} from '../../helpers/fake-s3.ts';
import {fakeStore} from './fixture.ts';

// A server that does not return one object is not a server that is away.

const quick = {timeouts: {patienceMs: 50}};
const large = Buffer.alloc(300_000, 7);

const effects: FaultEffect[] = [
  {kind: 'answer', status: 500, code: 'InternalError'},
  {kind: 'cutBody', afterBytes: 10},
];

test.each(effects)('an object that is never returned, while others are, is damaged: $kind', async (effect) => {
  const {server, store} = await fakeStore({}, {...quick, root: 'a/store'});
  await store.put('packs/one', large);
  await store.put('packs/two', large);
  server.fault({call: 'GetObject', key: 'a/store/packs/one', times: 1000}, effect);
  for (const range of [undefined, {start: 1000, end: 200_000}]) {
    await expect(store.get('packs/one', range)).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: 'packs/one is damaged: it cannot be read, but other objects of the store can',
      context: {key: 'packs/one'},
    });
  }
  expect(large.equals(await store.get('packs/two'))).toBe(true);
});

test.each(effects)('a server that returns no object is away: $kind', async (effect) => {
  const {server, store} = await fakeStore({}, quick);
  await store.put('packs/one', large);
  await store.put('packs/two', large);
  server.fault({call: 'GetObject', times: 1000}, effect);
  await expect(store.get('packs/one')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});

test('a connection that breaks before the response says nothing about the object', async () => {
  const {server, store} = await fakeStore({}, quick);
  await store.put('packs/one', large);
  await store.put('packs/two', large);
  server.fault({call: 'GetObject', key: 'packs/one', times: 1000}, {kind: 'reset'});
  await expect(store.get('packs/one')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});

test.each([
  [503, 'SlowDown', 'STORE_UNAVAILABLE'],
  [403, 'AccessDenied', 'STORE_DENIED'],
])('%i %s for one object is not damage', async (status, code, expected) => {
  const {server, store} = await fakeStore({}, quick);
  await store.put('packs/one', large);
  await store.put('packs/two', large);
  server.fault({call: 'GetObject', key: 'packs/one', times: 1000}, {kind: 'answer', status, code});
  await expect(store.get('packs/one')).rejects.toMatchObject({code: expected});
});

test('an object that was not returned is soon given up the next time', async () => {
  const {server, store} = await fakeStore({}, {timeouts: {patienceMs: 2000}});
  await store.put('packs/one', large);
  await store.put('packs/two', large);
  const reads = () => server.requests.filter(({name, key}) => name === 'GetObject' && key === 'packs/one').length;
  server.fault({call: 'GetObject', key: 'packs/one', times: 1000}, effects[0]!);
  await expect(store.get('packs/one')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  const first = reads();
  await expect(store.get('packs/one')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(reads() - first).toBe(2);
});
