import {expect, test} from 'vitest';
import {simulate} from './simulate.ts';

/** They take about twenty seconds. `npm run simulate -- --seeds N --from S` runs more. */
const seeds = 300;

test('every listed backup can be restored, whatever was paused, killed, lost or late', async () => {
  const failures: string[] = [];
  let [done, healed, changed, reencrypted] = [0, 0, 0, 0];
  for (let seed = 1; seed <= seeds; seed++) {
    const {failure, work} = await simulate(seed);
    if (failure !== undefined) failures.push(`npm run simulate -- --from ${seed} --seeds 1 --trace: ${failure}`);
    for (const outcomes of Object.values(work)) done += outcomes.done ?? 0;
    healed += work.heal?.done ?? 0;
    reencrypted += work['re-encrypt']?.done ?? 0;
    changed += (work['add key']?.done ?? 0) + (work['remove key']?.done ?? 0) + (work['rotate keys']?.done ?? 0);
  }
  expect(failures).toEqual([]);
  // Most pieces of work must succeed, or the test would prove nothing.
  expect(done).toBeGreaterThan(seeds);
  expect(healed).toBeGreaterThan(seeds / 20);
  expect(changed).toBeGreaterThan(seeds / 10);
  expect(reencrypted).toBeGreaterThan(seeds / 20);
  // Far beyond any machine: the limit only ends a seed that hangs.
}, 900_000);

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
