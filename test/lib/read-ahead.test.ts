import {expect, test} from 'vitest';
import {readAhead} from '../../src/lib/read-ahead.ts';

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

test.each([0, 1, 3, 20])('gives %i items in order, and ends', async (count) => {
  const made: number[] = [];
  const found: number[] = [];
  for await (const n of readAhead(numbers(made, {count}), 4)) found.push(n);
  expect(found).toEqual(Array.from({length: count}, (_, n) => n));
  expect(made.at(-1)).toBe(-1);
});

test('makes a few before they are wanted, and no more', async () => {
  const made: number[] = [];
  for await (const n of readAhead(numbers(made, {count: 100}), 4)) {
    // What was asked for has its turn.
    await new Promise(setImmediate);
    expect(made.length).toBe(Math.min(n + 5, 101));
    if (n === 50) break;
  }
});

test('has ended when whoever stops early goes on', async () => {
  const made: number[] = [];
  for await (const n of readAhead(numbers(made, {count: 100}), 4)) if (n === 2) break;
  expect(made.at(-1)).toBe(-1);
  const after = [...made];
  await new Promise(setImmediate);
  expect(made).toEqual(after);
});

test('an error comes after what was before it', async () => {
  const found: number[] = [];
  const read = async () => {
    for await (const n of readAhead(numbers([], {count: 9, failAt: 3}), 4)) found.push(n);
  };
  await expect(read()).rejects.toThrow('broken');
  expect(found).toEqual([0, 1, 2]);
});
