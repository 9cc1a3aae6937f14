import {afterAll, beforeAll, expect, test} from 'vitest';
import type {Journal, Progress} from '../../src/ops/index.ts';
import {believable, percentOf, rateMeter} from '../../src/ops/progress.ts';
import fc from '../seeds/fast-check.ts';
import {makeHome, newOperation} from './home.ts';

const home = makeHome();
let journal: Journal;

beforeAll(() => {
  journal = home.open();
});
afterAll(() => home.remove());

const figures = (change: Partial<Progress>): Progress => ({phase: 'x', bytesDone: 0, itemsDone: 0, ...change});

test.each([
  [{bytesDone: 1, bytesTotal: 8, itemsDone: 1, itemsTotal: 2}, 12.5],
  [{bytesDone: 5, itemsDone: 1, itemsTotal: 2}, 50],
  [{bytesDone: 0, bytesTotal: 0, itemsDone: 1, itemsTotal: 2}, 50],
  [{bytesDone: 5}, 0],
  [{itemsTotal: 0}, 0],
  [{bytesDone: 8, bytesTotal: 8}, 99.99],
  [{bytesDone: 9, bytesTotal: 8}, 99.99],
])('the percent of %j is %d', (change, percent) => {
  expect(percentOf(figures(change))).toBe(percent);
});

const count = fc.nat({max: 1_000});
const anyProgress: fc.Arbitrary<Progress> = fc.record(
  {phase: fc.constantFrom('a', 'b'), bytesDone: count, bytesTotal: count, itemsDone: count, itemsTotal: count},
  {requiredKeys: ['phase', 'bytesDone', 'itemsDone']},
);

test('the percentage never decreases, and is 100 only at the end, whatever the work reports', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyProgress, {maxLength: 10}), fc.boolean(), async (reports, succeeds) => {
      const {number} = await journal.create(newOperation());
      await journal.claim(number);
      const measure = rateMeter();
      let before = 0;
      for (const [at, progress] of reports.entries()) {
        await journal.report(number, measure(progress, at * 300));
        const {percent, ...rest} = (await journal.get(number)).progress;
        expect(percent).toBeGreaterThanOrEqual(before);
        expect(percent).toBeLessThan(100);
        expect(rest).toMatchObject(believable(progress));
        expect(rest.bytesDone).toBeLessThanOrEqual(rest.bytesTotal ?? rest.bytesDone);
        expect(rest.itemsDone).toBeLessThanOrEqual(rest.itemsTotal ?? rest.itemsDone);
        before = percent;
      }
      await journal.finish(number, succeeds ? {status: 'SUCCESS', result: {}} : {status: 'CANCELLED', result: {}});
      expect((await journal.get(number)).progress.percent).toBe(succeeds ? 100 : before);
    }),
    {numRuns: 50},
  );
});

test('a steady rate is shown unchanged, with the time left', () => {
  const measure = rateMeter();
  let measured = measure(figures({bytesTotal: 10_000}), 0);
  expect(measured).not.toHaveProperty('bytesPerSecond');
  for (let at = 1; at <= 10; at++) measured = measure(figures({bytesDone: at * 300, bytesTotal: 10_000}), at * 300);
  expect(measured).toMatchObject({bytesPerSecond: 1000, secondsLeft: 7});
});

test('a slow start and a stall do not turn an hour into days', () => {
  const measure = rateMeter();
  const bytesTotal = 3600 * 1_000_000;
  let bytesDone = 0;
  const told: number[] = [];
  for (let at = 0; at <= 600; at++) {
    // Two slow seconds at the start and two minutes of a busy disk; otherwise 1 MB/s.
    bytesDone += at < 2 ? 100 : at >= 300 && at < 420 ? (at % 10 === 0 ? 1000 : 0) : 1_000_000;
    const {secondsLeft} = measure(figures({bytesDone, bytesTotal}), at * 1000);
    if (secondsLeft !== undefined) told.push(secondsLeft);
  }
  expect(told.length).toBeGreaterThan(400);
  expect(Math.max(...told)).toBeLessThan(4 * 3600);
  expect(told.at(-1)).toBeGreaterThan(2000);
});

test('a total that was exceeded is no longer shown', () => {
  const measure = rateMeter();
  measure(figures({bytesDone: 0, bytesTotal: 1000, itemsTotal: 2}), 0);
  const passed = measure(figures({bytesDone: 1500, bytesTotal: 1000, itemsDone: 1, itemsTotal: 2}), 1000);
  expect(passed).toEqual({phase: 'x', bytesDone: 1500, itemsDone: 1, itemsTotal: 2, bytesPerSecond: 1500});
});

test('one slow second hardly changes the rate, and a stall removes it', () => {
  const measure = rateMeter();
  for (let at = 0; at <= 10; at++) measure(figures({bytesDone: at * 1000}), at * 1000);
  const stalled = (atMs: number) => measure(figures({bytesDone: 10_000}), atMs).bytesPerSecond ?? 0;
  expect(stalled(10_300)).toBeGreaterThan(900);
  expect(stalled(15_000)).toBeLessThan(500);
  expect(stalled(100_000)).toBe(0);
});

test('the rate does not depend on how often it is read', () => {
  const rateAfter = (everyMs: number) => {
    const measure = rateMeter();
    let bytesPerSecond: number | undefined;
    for (let atMs = 0; atMs <= 12_000; atMs += everyMs) {
      // Fast for 6 seconds, then slow.
      const bytesDone = Math.min(atMs, 6_000) * 10 + Math.max(0, atMs - 6_000);
      bytesPerSecond = measure(figures({bytesDone}), atMs).bytesPerSecond;
    }
    return bytesPerSecond!;
  };
  expect(Math.abs(rateAfter(100) - rateAfter(1000))).toBeLessThan(5);
});

test('every phase has its own rate', () => {
  const measure = rateMeter();
  measure(figures({phase: 'a'}), 0);
  expect(measure(figures({phase: 'a', bytesDone: 5_000}), 1_000).bytesPerSecond).toBe(5_000);
  expect(measure(figures({phase: 'b', bytesDone: 0}), 1_300).bytesPerSecond).toBeUndefined();
  expect(measure(figures({phase: 'b', bytesDone: 100}), 2_300).bytesPerSecond).toBe(100);
});

test('work with phases of different speeds has the percent and the time left of the whole', () => {
  const measure = rateMeter();
  const loading = (whole: number) => figures({phase: 'TransferData', bytesDone: 100 * whole, bytesTotal: 50, whole});
  measure(loading(0), 0);
  expect(measure(loading(0.25), 10_000)).toMatchObject({secondsLeft: 30});
  expect(percentOf(loading(0.25))).toBe(25);
  const check = figures({phase: 'Check', bytesDone: 50, bytesTotal: 50, whole: 0.5});
  expect(measure(check, 20_000)).toMatchObject({secondsLeft: 20});
  // The check shows no progress: the time counts down, and is unknown when it is over.
  expect(measure(check, 35_000)).toMatchObject({secondsLeft: 5});
  expect(measure(check, 50_000)).not.toHaveProperty('secondsLeft');
});
