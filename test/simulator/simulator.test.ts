import {expect, test} from 'vitest';
import {simulate} from './simulate.ts';
import {simulateSeeds} from './simulate-seeds.ts';

// test/long simulates hundreds of seeds, `npm run simulate -- --seeds N --from S` any number.
test(
  'every listed backup can be restored, whatever was paused, killed, lost or late',
  () => simulateSeeds(40),
  900_000,
);

test.each([
  [7, 'a seed always gives the same events'],
  [8, 'a seed with encrypted vaults always gives the same events'],
])('of seed %i: %s', async (seed) => {
  // Names that are random in production come from the seed here.
  const [first, second] = [await simulate(seed, {traced: true}), await simulate(seed, {traced: true})];
  // Slots are named by random numbers, and nothing depends on their order.
  const logOf = ({log}: {log?: readonly string[]}) => log?.map((line) => line.replace(/slots\/[0-9a-f]+/, 'slots/…'));
  expect(logOf(second)).toEqual(logOf(first));
  expect((await simulate(seed + 1, {traced: true})).log).not.toEqual(first.log);
});
