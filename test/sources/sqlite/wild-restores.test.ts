import {test} from 'vitest';
import {seed} from '../../seeds/seed.ts';
import {tryWildDatabases} from './wild-restores.ts';

const runs = Number(process.env.BKP_TEST_RUNS ?? 1);

/** `npm run test:long` tries more of them. */
test(`${runs} random databases come back with every value, rowid and index, from seed ${seed} on`, () =>
  tryWildDatabases(runs, seed));
