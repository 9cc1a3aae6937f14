import {describe, expect, test} from 'vitest';
import {systemClock} from '../../../src/lib/clock.ts';
import {fakeStore} from './fixture.ts';

const fastClock = {...systemClock, sleep: async () => {}};

const large = Buffer.alloc(1_000_000, Buffer.from(Array.from({length: 251}, (_, n) => n)));
const quick = {timeouts: {patienceMs: 0}};

describe('an interrupted body', () => {
  test('continues with a request for the rest', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', large);
    for (const afterBytes of [300_000, 100_000, 50_000])
      server.fault({call: 'GetObject'}, {kind: 'cutBody', afterBytes});
    expect(large.equals(await store.get('a'))).toBe(true);
    const ranges = server.requests.filter(({name}) => name === 'GetObject').map(({range}) => range);
    expect(ranges).toEqual([undefined, 'bytes=300000-', 'bytes=400000-', 'bytes=450000-']);
    expect(store.traffic?.().receivedBytes).toBe(large.length);
  });

  test('of a range continues too, and never past its end', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', large);
    server.fault({call: 'GetObject'}, {kind: 'cutBody', afterBytes: 70_000});
    const range = {start: 1000, end: 501_000};
    expect(large.subarray(range.start, range.end).equals(await store.get('a', range))).toBe(true);
    const ranges = server.requests.filter(({name}) => name === 'GetObject').map((request) => request.range);
    expect(ranges).toEqual(['bytes=1000-500999', 'bytes=71000-500999']);
  });

  test('is never joined with bytes of another object', async () => {
    const {server, store} = await fakeStore();
    const other = Buffer.alloc(large.length, 7);
    await store.put('a', large);
    server.fault({call: 'GetObject'}, {kind: 'cutBody', afterBytes: 300_000});
    server.fault({call: 'GetObject'}, {kind: 'run', action: () => server.objects.put('a', other)});
    expect(other.equals(await store.get('a'))).toBe(true);
    const asked = server.requests.filter(({name}) => name === 'GetObject');
    expect(asked.map(({range}) => range)).toEqual([undefined, 'bytes=300000-', undefined]);
    expect(asked[1]?.headers['if-match']).toMatch(/^"[0-9a-f]+"$/);
  });

  test('is OBJECT_MISSING if the object has been removed meanwhile', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', large);
    server.fault({call: 'GetObject'}, {kind: 'cutBody', afterBytes: 300_000});
    server.fault({call: 'GetObject'}, {kind: 'run', action: () => server.objects.delete('a')});
    await expect(store.get('a')).rejects.toMatchObject({code: 'OBJECT_MISSING'});
  });

  test('continues if the ETag is weak, which matches no condition', async () => {
    const {server, store} = await fakeStore({weakEtags: true}, {clock: fastClock});
    const bytes = Buffer.alloc(1024 * 1024, 'x');
    server.objects.put('a', bytes);
    server.fault({call: 'GetObject', times: 100}, {kind: 'cutBody', afterBytes: 100 * 1024});
    expect(Buffer.from(await store.get('a'))).toEqual(bytes);
    expect(server.requests.slice(1).every(({headers}) => headers['if-match'] === undefined)).toBe(true);
  });

  test('that can never be continued is an error, however much of it arrives each time', async () => {
    const {server, store} = await fakeStore({}, {clock: fastClock});
    const bytes = Buffer.alloc(1024 * 1024, 'x');
    let versions = 0;
    const overwrite = () => void server.objects.put('a', bytes, {etag: `version ${++versions}`});
    overwrite();
    server.fault({call: 'GetObject', times: 1000}, {kind: 'cutBody', afterBytes: 300 * 1024, action: overwrite});
    await expect(store.get('a')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
    expect(server.requests.length).toBeLessThan(40);
  });

  test('that makes no progress over several tries is an error', async () => {
    const {server, store} = await fakeStore({}, {timeouts: {patienceMs: 300}});
    await store.put('a', large);
    server.fault({call: 'GetObject', times: 100}, {kind: 'cutBody', afterBytes: 10});
    await expect(store.get('a')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE', retryable: true});
  });
});

describe('bytes that differ from the stored ones', () => {
  test('are read again if they changed on the way', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', large);
    server.fault({call: 'GetObject'}, {kind: 'flipBit', atByte: 500_000});
    expect(large.equals(await store.get('a'))).toBe(true);
  });

  test('are damage if they changed in the store', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', large);
    server.fault({call: 'GetObject', times: 100}, {kind: 'flipBit', atByte: 500_000});
    await expect(store.get('a')).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      cause: expect.stringContaining('CRC32'),
      context: {key: 'a'},
    });
  });

  test('are also found if the body arrived in two pieces', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', large);
    server.fault({call: 'GetObject'}, {kind: 'cutBody', afterBytes: 300_000});
    server.fault({call: 'GetObject'}, {kind: 'flipBit', atByte: 5});
    expect(large.equals(await store.get('a'))).toBe(true);
    expect(server.requests.filter(({name}) => name === 'GetObject')).toHaveLength(3);
  });

  test('are never returned from a range that was not requested', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', large);
    const headers = {'content-range': `bytes 5-9/${large.length}`, etag: '"x"'};
    server.fault({call: 'GetObject', times: 100}, {kind: 'answer', status: 206, code: '', body: '01234', headers});
    await expect(store.get('a', {start: 0, end: 5})).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  });

  test('do not come from a server that ignores ranges: the right part is returned', async () => {
    const {server, store} = await fakeStore();
    const headers = {etag: '"x"', 'content-length': '10'};
    server.fault({call: 'GetObject', times: 9}, {kind: 'answer', status: 200, code: '', body: '0123456789', headers});
    expect(Buffer.from(await store.get('a', {start: 3, end: 6})).toString()).toBe('345');
    expect(Buffer.from(await store.get('a', {start: 0, end: 10})).toString()).toBe('0123456789');
    await expect(store.get('a', {start: 3, end: 11})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    expect(await store.stat('a')).toMatchObject({sizeBytes: 10, version: 'x'});
  });
});

describe('responses that are not S3’s', () => {
  const page = '<html><body>404<br>Not here</body></html>';
  test.each([
    [404, page],
    [404, ''],
    [404, 'not found'],
    [200, page],
    [200, ''],
    [302, ''],
  ])('%i %j counts neither as a missing object nor as an empty store nor as bytes', async (status, body) => {
    const {server, store} = await fakeStore({}, quick);
    server.fault({times: 1000}, {kind: 'answer', status, code: '', body});
    const unavailable = {code: 'STORE_UNAVAILABLE', next: expect.any(String)};
    await expect(store.get('a')).rejects.toMatchObject(unavailable);
    await expect(store.put('a', Buffer.from('1'))).rejects.toMatchObject(unavailable);
    await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(unavailable);
    await expect(store.stat('a')).rejects.toMatchObject(unavailable);
  });

  test('every call reports a missing bucket, and none a missing object', async () => {
    const {server, store} = await fakeStore();
    await store.put('a', Buffer.from('1'));
    server.settings.gone = true;
    const gone = {code: 'STORE_UNAVAILABLE', message: expect.stringContaining('no bucket')};
    await expect(store.get('a')).rejects.toMatchObject(gone);
    await expect(store.stat('a')).rejects.toMatchObject(gone);
    await expect(store.put('a', Buffer.from('1'))).rejects.toMatchObject(gone);
    await expect(store.delete(['a'])).rejects.toMatchObject(gone);
    await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(gone);
  });

  test.each(['', '<Contents><Key>a</Key><Size>1</Size></Contents>'])(
    'a listing that does not say where it goes on is not complete: after %j',
    async (contents) => {
      const {server, store} = await fakeStore();
      const page = (token: string, inside: string) =>
        `<ListBucketResult><Name>bucket</Name><IsTruncated>true</IsTruncated>${token}${inside}</ListBucketResult>`;
      for (const body of [page('<NextContinuationToken>x</NextContinuationToken>', contents), page('', '')]) {
        server.fault({call: 'ListObjectsV2'}, {kind: 'answer', status: 200, code: '', body});
      }
      const listed = (async () => {
        for await (const facts of store.list('')) expect(facts.key).toBe('a');
      })();
      await expect(listed).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: expect.stringContaining('does not list all of its objects'),
      });
    },
  );

  test('a listing that repeats its page ends as an error', async () => {
    const {server, store} = await fakeStore({pageKeys: 2}, quick);
    for (const key of ['a', 'b', 'c', 'd']) server.objects.put(key, Buffer.from(key));
    const body =
      `<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>` +
      '<NextContinuationToken>t</NextContinuationToken><Contents><Key>a</Key><Size>1</Size></Contents>' +
      '</ListBucketResult>';
    server.fault({call: 'ListObjectsV2', times: 100}, {kind: 'answer', status: 200, code: '', body});
    const listed = (async () => {
      for await (const facts of store.list('')) expect(facts.key).toBe('a');
    })();
    await expect(listed).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  });

  test('a listing that goes on with new tokens and without objects ends as an error', async () => {
    const {server, store} = await fakeStore({}, {...quick, emptyPagesAtMost: 3});
    server.objects.put('a', Buffer.from('a'));
    const answerPages = (count: number, isLast: boolean) => {
      for (let n = 1; n <= count; n++) {
        const body =
          `<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>${n < count || !isLast}</IsTruncated>` +
          `<NextContinuationToken>t${n}</NextContinuationToken></ListBucketResult>`;
        server.fault({call: 'ListObjectsV2'}, {kind: 'answer', status: 200, code: '', body});
      }
    };
    const keys = async () => {
      const found: string[] = [];
      for await (const {key} of store.list('')) found.push(key);
      return found;
    };
    answerPages(3, true);
    expect(await keys()).toEqual([]);
    answerPages(4, false);
    await expect(keys()).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('does not end'),
    });
    expect(await keys()).toEqual(['a']);
  });
});
