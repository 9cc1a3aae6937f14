import {expect, test} from 'vitest';
import {type Clock, systemClock} from '../../../src/lib/clock.ts';
import {Pace} from '../../../src/stores/s3/connection/pace.ts';
import {fakeStore} from './fixture.ts';

/** A clock whose sleepers wake in the order of their time, once all of them sleep. */
function fakeClock(): Pick<Clock, 'monotonicMs' | 'sleep'> & {run: <T>(work: Promise<T>) => Promise<T>; atMs: number} {
  let sleepers: {atMs: number; wake: () => void}[] = [];
  const clock = {
    atMs: 0,
    monotonicMs: () => clock.atMs,
    sleep: (durationMs: number) =>
      new Promise<void>((wake) => {
        sleepers.push({atMs: clock.atMs + durationMs, wake});
      }),
    async run<T>(work: Promise<T>): Promise<T> {
      let done = false;
      void work.finally(() => {
        done = true;
      });
      while (!done) {
        await new Promise((resolve) => setImmediate(resolve));
        const [next] = sleepers.sort((one, other) => one.atMs - other.atMs);
        if (next === undefined) continue;
        sleepers = sleepers.filter((sleeper) => sleeper !== next);
        clock.atMs = Math.max(clock.atMs, next.atMs);
        next.wake();
      }
      return work;
    },
  };
  return clock;
}

async function move(pace: Pace, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; ) {
    const piece = Math.min(left, pace.pieceBytes());
    await pace.take(piece);
    left -= piece;
  }
}

test.each([1000, 50_000, 1_000_000, 30_000_000])(
  '%i bytes a second are kept, by one request or four together',
  async (rate) => {
    for (const requests of [1, 4]) {
      const clock = fakeClock();
      const pace = new Pace(() => rate, clock);
      await clock.run(Promise.all(Array.from({length: requests}, () => move(pace, (rate * 4) / requests))));
      // Four seconds' worth, the last piece not waited for: it was let go when the one before it was paid off.
      expect(clock.atMs).toBeGreaterThan(2900);
      expect(clock.atMs).toBeLessThanOrEqual(4001);
    }
  },
);

test('without a limit no request waits', async () => {
  const clock = fakeClock();
  await clock.run(move(new Pace(() => undefined, clock), 1_000_000_000));
  expect(clock.atMs).toBe(0);
});

test('unused time is not saved up', async () => {
  const clock = fakeClock();
  const pace = new Pace(() => 1000, clock);
  clock.atMs = 3_600_000;
  await clock.run(move(pace, 10_000));
  expect(clock.atMs - 3_600_000).toBeGreaterThan(8000);
});

test('a raised limit releases waiting requests, and a new one slows down running requests', async () => {
  const clock = fakeClock();
  let rate: number | undefined = 10;
  const pace = new Pace(() => rate, clock);
  const moving = move(pace, 1_000_000);
  await new Promise((resolve) => setImmediate(resolve));
  const lifted = clock.run(moving);
  rate = undefined;
  await lifted;
  expect(clock.atMs).toBeLessThanOrEqual(250);
  rate = 1000;
  const before = clock.atMs;
  await clock.run(move(pace, 5000));
  expect(clock.atMs - before).toBeGreaterThanOrEqual(3900);
});

test('a cancelled request stops waiting', async () => {
  const pace = new Pace(() => 1, systemClock);
  await pace.take(100);
  const reason = new Error('cancelled');
  await expect(pace.take(1, AbortSignal.abort(reason))).rejects.toBe(reason);
});

test('limited transfers arrive unchanged, and the limit is re-read while they run', async () => {
  let asked = 0;
  const limits = () => {
    asked += 1;
    return asked < 10 ? {uploadBytesPerSecond: 2_000_000} : {};
  };
  const {server, store} = await fakeStore({}, {limits});
  const body = Buffer.alloc(3_000_000, 'abcdefg');
  await store.put('a', body);
  expect(asked).toBeGreaterThan(10);
  expect(server.objects.get('a')?.body.equals(body)).toBe(true);
  expect(body.equals(await store.get('a'))).toBe(true);
  expect(store.traffic?.()).toMatchObject({sentBytes: body.length, receivedBytes: body.length});
});
