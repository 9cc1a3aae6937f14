import {describe, expect, test} from 'vitest';
import {storeContract} from '../contract.ts';
import {fakeServer as fake, storeOn as open} from './fixture.ts';

describe('the contract, at the top of a bucket', () => storeContract(async () => open(await fake())));

describe('the contract, below a root', () => storeContract(async () => open(await fake(), {root: 'team/backups'})));

describe('the contract, in a bucket with versions and object lock, a page of 3 keys, one request at a time', () =>
  storeContract(async () => open(await fake({objectLock: true, pageKeys: 3}), {requestsAtOnce: 1, lockDays: 30})));

test('more keys than a page holds are listed and removed', async () => {
  const server = await fake();
  const store = await open(server, {root: 'r'});
  const all = Array.from({length: 2500}, (_, n) => `packs/${String(n).padStart(4, '0')}`);
  for (const key of all) server.objects.put(`r/${key}`, Buffer.from(key));
  const listed: string[] = [];
  for await (const {key} of store.list('packs/')) listed.push(key);
  expect(listed).toEqual(all);
  expect(await store.delete(all)).toEqual([]);
  expect(server.objects.keys()).toEqual([]);
  expect(store.traffic?.().requests).toEqual({ListObjectsV2: 3, GetObjectLockConfiguration: 1, DeleteObjects: 3});
});

test('foreign objects in the bucket are not listed', async () => {
  const server = await fake();
  const store = await open(server, {root: 'r'});
  for (const key of ['r/a', 'r/my photo.jpg', 'r/ä', 'r/x//y', 'r/folder/', 'r2/b', 'c', 'r/100%'])
    server.objects.put(key, Buffer.from('1'));
  const listed: string[] = [];
  for await (const {key} of store.list('')) listed.push(key);
  expect(listed).toEqual(['100%', 'a']);
});

test('the description can be parsed as an address and contains no secret', async () => {
  const store = await open(await fake(), {root: 'r', endpoint: 'http://127.0.0.1:9', region: 'eu-west-1'});
  expect(store.description).toBe('s3::bucket=bucket;region=eu-west-1;endpoint=http://127.0.0.1:9;root=r;');
});
