import {test} from 'vitest';
import {simulateSeeds} from '../simulator/simulate-seeds.ts';

test(
  'every listed backup can be restored, whatever was paused, killed, lost or late (400 seeds)',
  () => simulateSeeds(400),
  // Far beyond any machine: the limit only ends a seed that hangs.
  1_800_000,
);
