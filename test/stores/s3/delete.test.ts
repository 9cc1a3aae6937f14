import {describe, expect, test} from 'vitest';
import {fakeStore, storeOn} from './fixture.ts';

const dayMs = 24 * 60 * 60 * 1000;
const one = Buffer.from('1');

describe('a removal', () => {
  test('sends 1000 keys a request, and asks about locks once', async () => {
    const {server, store} = await fakeStore();
    const all = Array.from({length: 2001}, (_, n) => `k/${n}`);
    for (const key of all) server.objects.put(key, one);
    await store.delete(all);
    await store.delete(['k/0']);
    expect(server.requests.map(({name}) => name)).toEqual([
      'GetObjectLockConfiguration',
      ...Array(4).fill('DeleteObjects'),
    ]);
  });

  test('does not ask about locks after a write has shown that the bucket keeps no versions', async () => {
    const {server, store} = await fakeStore();
    await store.put('locks/a', one, {ifAbsent: true});
    await store.delete(['locks/a']);
    expect(server.requests.map(({name}) => name)).toEqual(['PutObject', 'DeleteObjects']);
  });

  test('finds the errors of single objects in a successful response', async () => {
    const {server, store} = await fakeStore({}, {timeouts: {patienceMs: 0}});
    for (const key of ['a', 'b']) await store.put(key, one);
    server.fault({call: 'DeleteObjects'}, {kind: 'itemError', code: 'AccessDenied', message: 'Access Denied.'});
    await expect(store.delete(['a', 'b'])).rejects.toMatchObject({
      code: 'STORE_DENIED',
      next: expect.stringContaining('s3:DeleteObject'),
    });
    expect(server.objects.keys()).toEqual(['a', 'b']);
    server.fault({call: 'DeleteObjects', times: 5}, {kind: 'itemError', code: 'InternalError'});
    await expect(store.delete(['a', 'b'])).rejects.toMatchObject({code: 'STORE_UNAVAILABLE', retryable: true});
  });

  test('retries objects that the server was too busy for', async () => {
    const {server, store} = await fakeStore();
    for (const key of ['a', 'b']) await store.put(key, one);
    server.fault({call: 'DeleteObjects'}, {kind: 'itemError', code: 'SlowDown'});
    server.fault({call: 'DeleteObjects'}, {kind: 'itemError', code: 'NoSuchKey'});
    expect(await store.delete(['a', 'b'])).toEqual([]);
  });

  test('with a key that may not remove is STORE_DENIED', async () => {
    const {server, store} = await fakeStore({denied: new Set(['DeleteObjects'])});
    await store.put('a', one);
    await expect(store.delete(['a'])).rejects.toMatchObject({code: 'STORE_DENIED'});
    expect(server.objects.keys()).toEqual(['a']);
  });
});

describe('with object lock', () => {
  test('only objects put as retained are locked, for 1.5 times the requested period', async () => {
    const {server, store} = await fakeStore({objectLock: true}, {lockDays: 30});
    const before = Date.now();
    await store.put('packs/a', one, {retained: true});
    await store.put('locks/a', one);
    const {lockMode, retainUntilMs} = server.objects.get('packs/a')!;
    expect(lockMode).toBe('COMPLIANCE');
    expect(retainUntilMs).toBeGreaterThanOrEqual(before + 45 * dayMs);
    expect(retainUntilMs).toBeLessThanOrEqual(Date.now() + 45 * dayMs + 1000);
    expect(server.objects.get('locks/a')?.retainUntilMs).toBeUndefined();
  });

  test.each([{lockDays: 30}, {}])(
    'what may not go yet stays as it is and is told; the rest goes (opened with %j)',
    async (opened) => {
      const {server, store} = await fakeStore({objectLock: true}, {lockDays: 30});
      await store.put('b', one, {retained: true});
      await store.put('a', one, {retained: true});
      await store.put('c', one);
      server.objects.put('d', one, {retainUntilMs: Date.now() - 1000});
      const remover = await storeOn(server, opened);
      const retained = await remover.delete(['b', 'c', 'none', 'd', 'a']);
      expect(retained).toEqual(['a', 'b'].map((key) => ({key, untilMs: server.objects.get(key)?.retainUntilMs})));
      // Not even hidden behind a marker.
      expect(server.objects.keys()).toEqual(['a', 'b']);
      expect(server.objects.versions('a')).toHaveLength(1);
    },
  );

  test('a key that may not read locks removes as if there were none, and accepts a refusal', async () => {
    const {server, store} = await fakeStore({objectLock: true, denied: new Set(['GetObjectLockConfiguration'])});
    const untilMs = Date.now() + dayMs;
    server.objects.put('a', one, {retainUntilMs: untilMs - (untilMs % 1000)});
    for (const [code, message] of [
      ['AccessDenied', 'Access Denied'],
      ['InvalidRequest', 'Object is WORM protected and cannot be overwritten'],
    ] as const) {
      server.fault({call: 'DeleteObjects'}, {kind: 'itemError', code, message});
      expect(await store.delete(['a'])).toEqual([{key: 'a', untilMs: untilMs - (untilMs % 1000)}]);
    }
    expect(await store.delete(['none'])).toEqual([]);
  });

  test('a bucket without object lock is reported at the first object', async () => {
    const {store} = await fakeStore({}, {lockDays: 30});
    await expect(store.put('a', one, {retained: true})).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      next: expect.stringContaining('backup.object.store.lock'),
    });
  });
});

describe('retain', () => {
  test('exists only with a lock period', async () => {
    const {server, store} = await fakeStore({objectLock: true});
    expect(store.retain).toBeUndefined();
    expect((await storeOn(server, {lockDays: 1})).retain).toBeTypeOf('function');
  });

  test('extends only locks that end too soon', async () => {
    const {server, store} = await fakeStore({objectLock: true}, {lockDays: 30});
    const untilMs = Math.ceil(Date.now() / 1000) * 1000;
    server.objects.put('soon', one, {retainUntilMs: untilMs + 29 * dayMs});
    server.objects.put('late', one, {retainUntilMs: untilMs + 31 * dayMs});
    server.objects.put('never', one);
    await store.retain?.(['soon', 'late', 'never', 'soon']);
    expect(server.objects.get('late')?.retainUntilMs).toBe(untilMs + 31 * dayMs);
    for (const key of ['soon', 'never']) {
      expect(server.objects.get(key)?.retainUntilMs).toBeGreaterThanOrEqual(untilMs + 44 * dayMs);
    }
    expect(server.requests.filter(({name}) => name === 'PutObjectRetention')).toHaveLength(2);
  });

  test('is OBJECT_MISSING for an absent object', async () => {
    const {store} = await fakeStore({objectLock: true}, {lockDays: 30});
    await expect(store.retain?.(['none'])).rejects.toMatchObject({code: 'OBJECT_MISSING', context: {key: 'none'}});
  });
});
