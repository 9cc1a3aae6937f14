import {expect, test} from 'vitest';
import {forEachConcurrent, mapConcurrent, readAhead, Slots} from '../../src/lib/async.ts';

const range = (count: number) => Array.from({length: count}, (_, n) => n);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function* numbers(made: number[], options: {count: number; failAt?: number}) {
  try {
    for (let n = 0; n < options.count; n++) {
      await Promise.resolve();
      if (n === options.failAt) throw new Error('broken');
      made.push(n);
      yield n;
    }
  } finally {
    made.push(-1);
  }
}

/** Work that counts how much of it runs at a time. */
function counted(work: (n: number) => Promise<void> = turn) {
  const seen = {running: 0, most: 0, started: [] as number[], ended: [] as number[]};
  const run = async (n: number) => {
    seen.started.push(n);
    seen.running += 1;
    seen.most = Math.max(seen.most, seen.running);
    try {
      await work(n);
    } finally {
      seen.running -= 1;
      seen.ended.push(n);
    }
  };
  return {seen, run};
}

test.each([
  ['a list', range(20)],
  ['a generator', numbers([], {count: 20})],
])('forEachConcurrent works on every item of %s, at most the limit at a time', async (_, items) => {
  const {seen, run} = counted();
  await forEachConcurrent(items, 3, run);
  expect(seen.started).toEqual(range(20));
  expect(seen.most).toBe(3);
  expect(seen.running).toBe(0);
});

test('forEachConcurrent starts no item after an error, and throws when the running work has ended', async () => {
  const {seen, run} = counted(async (n) => {
    if (n === 2) throw new Error('broken');
    await turn();
  });
  await expect(forEachConcurrent(range(20), 4, run)).rejects.toThrow('broken');
  expect(seen.started.length).toBeLessThanOrEqual(5);
  expect(seen.ended.toSorted()).toEqual(seen.started);
});

test('forEachConcurrent throws the first of several errors', async () => {
  const work = async (n: number) => {
    if (n !== 1) await turn();
    throw new Error(`broken ${n}`);
  };
  await expect(forEachConcurrent(range(3), 3, work)).rejects.toThrow('broken 1');
});

test('forEachConcurrent throws an error of the items once the running work has ended, and ends the items', async () => {
  const made: number[] = [];
  const {seen, run} = counted();
  await expect(forEachConcurrent(numbers(made, {count: 9, failAt: 3}), 8, run)).rejects.toThrow('broken');
  expect(seen.ended.toSorted()).toEqual([0, 1, 2]);
  const stopped: number[] = [];
  const failing = () => Promise.reject(new Error('no'));
  await expect(forEachConcurrent(numbers(stopped, {count: 9}), 2, failing)).rejects.toThrow('no');
  expect(stopped.at(-1)).toBe(-1);
});

test('mapConcurrent yields results in the order of the items', async () => {
  const results: number[] = [];
  const work = async (n: number) => {
    for (let turns = 5 - (n % 5); turns > 0; turns--) await turn();
    return n * 2;
  };
  for await (const result of mapConcurrent(range(20), 4, work)) results.push(result);
  expect(results).toEqual(range(20).map((n) => n * 2));
});

test('mapConcurrent counts each item by its weight', async () => {
  const {seen, run} = counted();
  for await (const _ of mapConcurrent(range(12), 10, run, () => 5));
  expect(seen.most).toBe(2);
});

test.each([0, 1, 3, 20])('readAhead yields %i items in order and ends', async (count) => {
  const made: number[] = [];
  const found: number[] = [];
  for await (const n of readAhead(numbers(made, {count}), 4)) found.push(n);
  expect(found).toEqual(range(count));
  expect(made.at(-1)).toBe(-1);
});

test('readAhead requests its count of items ahead, and no more', async () => {
  const made: number[] = [];
  for await (const n of readAhead(numbers(made, {count: 100}), 4)) {
    // Give the requested items their turn.
    await turn();
    expect(made.length).toBe(Math.min(n + 5, 101));
    if (n === 50) break;
  }
});

test('readAhead has ended its generator when a consumer that stops early continues', async () => {
  const made: number[] = [];
  for await (const n of readAhead(numbers(made, {count: 100}), 4)) if (n === 2) break;
  expect(made.at(-1)).toBe(-1);
  const after = [...made];
  await turn();
  expect(made).toEqual(after);
});

test('readAhead throws an error after the items before it', async () => {
  const found: number[] = [];
  const read = async () => {
    for await (const n of readAhead(numbers([], {count: 9, failAt: 3}), 4)) found.push(n);
  };
  await expect(read()).rejects.toThrow('broken');
  expect(found).toEqual([0, 1, 2]);
});

test('Slots run at most their count at a time, in the order of the calls, also after an error', async () => {
  const slots = new Slots(2);
  const {seen, run} = counted(async (n) => {
    await turn();
    if (n % 3 === 0) throw new Error('broken');
  });
  const ends = await Promise.allSettled(range(9).map((n) => slots.run(() => run(n))));
  expect(ends.filter(({status}) => status === 'rejected')).toHaveLength(3);
  expect(seen.started).toEqual(range(9));
  expect(seen.most).toBe(2);
});
