import {afterEach, expect, test} from 'vitest';
import {type FaultProxy, startFaultProxy} from '../../helpers/fault-proxy.ts';
import {randomFrom} from '../../helpers/random-from.ts';
import {seed} from '../../seeds/seed.ts';
import {fakeServer, storeOn} from './fixture.ts';

let proxy: FaultProxy | undefined;
afterEach(async () => proxy?.close());

test('over a connection that breaks often, every byte arrives and every name has one writer', async () => {
  console.log(`seed ${seed}`);
  const random = randomFrom(seed);
  const server = await fakeServer();
  proxy = await startFaultProxy(server.endpoint);
  proxy.fault = {kind: 'reset', share: 1, withinBytes: 800_000, random};
  const [one, other] = await Promise.all([1, 2].map(() => storeOn({...server, endpoint: proxy!.endpoint})));

  const bodies = Array.from({length: 30}, (_, n) => Buffer.alloc(Math.floor(random() * 300_000), `${n} `));
  await Promise.all(bodies.map((body, n) => one!.put(`packs/${n}`, body, {ifAbsent: n % 2 === 0})));
  await Promise.all(
    bodies.map(async (body, n) => {
      expect(body.equals(await one!.get(`packs/${n}`)), `packs/${n}`).toBe(true);
      const end = Math.floor(body.length / 2);
      expect(body.subarray(0, end).equals(await other!.get(`packs/${n}`, {start: 0, end}))).toBe(true);
    }),
  );
  const races = await Promise.all(
    bodies.map((_, n) =>
      Promise.all(
        [one, other].map((store, who) => store!.put(`locks/${n}`, Buffer.from(`${n} ${who}`), {ifAbsent: true})),
      ),
    ),
  );
  for (const [n, outcomes] of races.entries()) {
    expect([...outcomes].sort(), `locks/${n}`).toEqual(['exists', 'written']);
    expect(server.objects.get(`locks/${n}`)?.body.toString()).toBe(`${n} ${outcomes.indexOf('written')}`);
  }
  const listed: string[] = [];
  for await (const {key} of one!.list('packs/')) listed.push(key);
  expect(listed).toHaveLength(bodies.length);
  await other!.delete(listed);
  expect(server.objects.keys().filter((key) => key.startsWith('packs/'))).toEqual([]);
  expect(proxy.resets).toBeGreaterThan(0);
});

test('a connection that goes silent ends every call as an error, and calls succeed once it is back', async () => {
  const server = await fakeServer();
  proxy = await startFaultProxy(server.endpoint);
  const timeouts = {stallMs: 100, patienceMs: 50};
  const store = await storeOn({...server, endpoint: proxy.endpoint}, {timeouts});
  await store.put('a', Buffer.from('1'));
  proxy.fault = {kind: 'black hole'};
  const unavailable = {code: 'STORE_UNAVAILABLE', retryable: true};
  await expect(store.put('b', Buffer.alloc(5_000_000))).rejects.toMatchObject(unavailable);
  await expect(store.get('a')).rejects.toMatchObject(unavailable);
  await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(unavailable);
  proxy.fault = {kind: 'none'};
  expect(Buffer.from(await store.get('a')).toString()).toBe('1');
});
