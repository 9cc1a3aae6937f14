import {test} from 'vitest';
import {trySchemaChanges} from '../collections/schema-changes.ts';
import {seed} from '../seeds/seed.ts';

const runs = 60 * Number(process.env.BKP_TEST_RUNS ?? 1);

test(
  `increments follow every change of ${runs} schemas, from seed ${seed} on`,
  () => trySchemaChanges(runs, seed),
  60_000 + runs * 20_000,
);
