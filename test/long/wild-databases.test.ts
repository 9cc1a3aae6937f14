import {test} from 'vitest';
import {seed} from '../seeds/seed.ts';
import {tryWildDatabases} from '../sources/sqlite/wild-restores.ts';

const runs = 40 * Number(process.env.BKP_TEST_RUNS ?? 1);

test(
  `${runs} random databases come back with every value, rowid and index, from seed ${seed} on`,
  () => tryWildDatabases(runs, seed),
  60_000 + runs * 20_000,
);
