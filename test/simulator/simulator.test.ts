import {expect, test} from 'vitest';
import {simulate} from './simulate.ts';

/** They take about twenty seconds. `npm run simulate -- --seeds N --from S` runs more. */
const seeds = 300;

test('every listed backup can be restored, whatever was paused, killed, lost or late', async () => {
  const failures: string[] = [];
  let [done, healed] = [0, 0];
  for (let seed = 1; seed <= seeds; seed++) {
    const {failure, work} = await simulate(seed);
    if (failure !== undefined) failures.push(`npm run simulate -- --from ${seed} --seeds 1 --trace: ${failure}`);
    for (const outcomes of Object.values(work)) done += outcomes.done ?? 0;
    healed += work.heal?.done ?? 0;
  }
  expect(failures).toEqual([]);
  // Most pieces of work must succeed, or the test would prove nothing.
  expect(done).toBeGreaterThan(seeds);
  expect(healed).toBeGreaterThan(seeds / 20);
  // Far beyond any machine: the limit only ends a seed that hangs.
}, 900_000);

test('a seed always gives the same events', async () => {
  // Names that are random in production come from the seed here.
  const [first, second] = [await simulate(7, {traced: true}), await simulate(7, {traced: true})];
  expect(second.log).toEqual(first.log);
  expect((await simulate(8, {traced: true})).log).not.toEqual(first.log);
});
