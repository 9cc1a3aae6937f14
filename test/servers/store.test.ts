import {randomBytes} from 'node:crypto';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import type {Store} from '../../src/stores/index.ts';
import {storeContract} from '../stores/contract.ts';
import {openStore} from './open.ts';
import {freePort} from './process.ts';
import {type S3Server, startMinio, startVersitygw} from './s3-server.ts';
import {everythingIn} from './secrets.ts';

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('the store on %s', (_, start) => {
  let server: S3Server;
  let bucket: string;
  beforeAll(async () => {
    server = await start();
    bucket = await server.bucket();
  });
  afterAll(() => server?.stop());

  let roots = 0;
  const open = (options: Parameters<typeof openStore>[2] = {}) =>
    openStore(server, bucket, {root: `root-${++roots}/of it`.replace(' ', '_'), ...options});

  describe('below a root', () => storeContract(() => open()));
  describe('in a bucket of its own', () => storeContract(async () => openStore(server, await server.bucket())));

  test('more objects than one page of a listing and one removal request are listed and removed', async () => {
    // Usual timeouts: a slow removal must not be repeated, because requests are counted.
    const store = await open({timeouts: {}});
    const keys = Array.from({length: 1005}, (_, n) => `packs/${(n % 256).toString(16).padStart(2, '0')}/${n}`);
    for (let at = 0; at < keys.length; at += 50)
      await Promise.all(keys.slice(at, at + 50).map((key) => store.put(key, Buffer.from(key))));
    expect(await listed(store)).toEqual(keys.toSorted());
    await store.delete(keys.slice(1));
    expect(await listed(store)).toEqual(keys.slice(0, 1));
    expect(store.traffic!().requests).toMatchObject({ListObjectsV2: 3, DeleteObjects: 2});
  });

  test('another reader gets a pack as a whole and in ranges', async () => {
    const root = 'packs';
    const body = randomBytes(24 * 1024 * 1024);
    await (await open({root})).put('packs/00/pack', body, {ifAbsent: true});
    const reader = await open({root});
    expect(body.equals(await reader.get('packs/00/pack'))).toBe(true);
    const range = {start: 7_654_321, end: 17_654_321};
    expect(body.subarray(range.start, range.end).equals(await reader.get('packs/00/pack', range))).toBe(true);
    expect(await reader.stat('packs/00/pack')).toMatchObject({sizeBytes: body.length, version: expect.any(String)});
    await expect(reader.get('packs/00/pack', {start: 0, end: body.length + 1})).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
    });
  });

  test('of two processes that put one key if absent, exactly one succeeds every time', async () => {
    const root = 'race';
    const stores = await Promise.all(Array.from({length: 4}, () => open({root})));
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.all(
        stores.map((store, n) => store.put(`lease-${round}`, Buffer.from(`holder ${n}`), {ifAbsent: true})),
      );
      expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(1);
      const winner = `holder ${outcomes.indexOf('written')}`;
      expect(Buffer.from(await stores[0]!.get(`lease-${round}`)).toString()).toBe(winner);
    }
  });

  test('list and stat return the same version, which changes with the bytes', async () => {
    const store = await open();
    await store.put('a', Buffer.from('one'));
    const first = await store.stat('a');
    for await (const facts of store.list('')) expect(facts.version).toBe(first?.version);
    await store.put('a', Buffer.from('two'));
    expect((await store.stat('a'))?.version).not.toBe(first?.version);
  });

  describe('errors have a cause and a next step', () => {
    const wrong: Record<string, {options: () => Parameters<typeof openStore>[2]; code: string; words: RegExp}> = {
      'a wrong secret': {
        options: () => ({credentials: {...server.keys, secretAccessKey: 'not-the-secret'}}),
        code: 'STORE_DENIED',
        words: /key|credential/i,
      },
      'an unknown key': {
        options: () => ({credentials: {accessKeyId: 'nobody-knows', secretAccessKey: 'not-the-secret'}}),
        code: 'STORE_DENIED',
        words: /key|credential/i,
      },
      'a bucket that is not there': {
        options: () => ({bucket: 'no-such-bucket'}),
        code: 'STORE_UNAVAILABLE',
        words: /bucket/,
      },
      'a wrong region': {
        options: () => ({region: 'eu-central-1'}),
        code: 'STORE_',
        words: /region/,
      },
    };
    const calls: Record<string, (store: Store) => Promise<unknown>> = {
      put: (store) => store.put('a', Buffer.from('a')),
      get: (store) => store.get('a'),
      stat: (store) => store.stat('a'),
      list: (store) => listed(store),
      delete: (store) => store.delete(['a']),
    };
    for (const [name, {options, code, words}] of Object.entries(wrong)) {
      test.each(Object.entries(calls))(`${name}: %s`, async (_, call) => {
        const error = await call(await open(options())).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(BkpError);
        expect(error).toMatchObject({code: expect.stringContaining(code), next: expect.any(String)});
        expect(`${(error as Error).message} ${(error as Error).cause} ${(error as BkpError).next}`).toMatch(words);
        expect(everythingIn(error)).not.toMatch(/not-the-secret|secret-[0-9a-f]{24}/);
      });
    }

    test('a port without a server is STORE_UNAVAILABLE', async () => {
      const endpoint = `http://127.0.0.1:${await freePort()}`;
      const store = await open({endpoint});
      await expect(store.get('a')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE', next: expect.any(String)});
    });
  });
});

async function listed(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const {key} of store.list('')) keys.push(key);
  return keys;
}
