import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {watchForStandstill} from '../../../src/ops/index.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a thread that never replies is reported stuck once, and is not asked again', () => {
  const [ask, stuck] = [vi.fn(), vi.fn()];
  watchForStandstill(ask, stuck);
  expect(ask).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(3_000);
  expect(stuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(stuck).toHaveBeenCalledOnce();
  expect(ask).toHaveBeenCalledTimes(7);
});

test('a thread that replies now and then is not stuck, however long it takes to stop', () => {
  const stuck = vi.fn();
  const standstill = watchForStandstill(vi.fn(), stuck);
  for (let n = 0; n < 100; n++) {
    vi.advanceTimersByTime(2_900);
    standstill.answered();
  }
  expect(stuck).not.toHaveBeenCalled();
  vi.advanceTimersByTime(4_000);
  expect(stuck).toHaveBeenCalledOnce();
});

test('a finished thread is never reported stuck', () => {
  const stuck = vi.fn();
  watchForStandstill(vi.fn(), stuck).stop();
  vi.advanceTimersByTime(60_000);
  expect(stuck).not.toHaveBeenCalled();
});
