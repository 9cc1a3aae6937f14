import {expect} from 'vitest';
import {simulate} from './simulate.ts';

/** Simulates the seeds from 1 on, and expects that no invariant was violated, and that most work succeeded. */
export async function simulateSeeds(seeds: number): Promise<void> {
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
  expect(reencrypted).toBeGreaterThan(seeds / 50);
}
