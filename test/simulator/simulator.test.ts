import {expect, test} from 'vitest';
import {simulate} from './simulate.ts';

/** Some twenty seconds. `npm run simulate -- --seeds N --from S` runs as many as there is time for. */
const seeds = 300;

test('whatever is paused, killed, lost or late, every listed backup can be restored', async () => {
  const failures: string[] = [];
  let done = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const {failure, work} = await simulate(seed);
    if (failure !== undefined) failures.push(`npm run simulate -- --from ${seed} --seeds 1 --trace: ${failure}`);
    for (const outcomes of Object.values(work)) done += outcomes.done ?? 0;
  }
  expect(failures).toEqual([]);
  // It is not that nothing ever succeeds.
  expect(done).toBeGreaterThan(seeds);
});

test('one seed is one story', async () => {
  // Names that are random in life are random by the seed here.
  const [first, second] = [await simulate(7, {traced: true}), await simulate(7, {traced: true})];
  expect(second.log).toEqual(first.log);
  expect((await simulate(8, {traced: true})).log).not.toEqual(first.log);
});
