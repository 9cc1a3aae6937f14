import {test} from 'vitest';
import {trySchemaChanges} from '../collections/schema-changes.ts';

const runs = 60 * Number(process.env.BKP_TEST_RUNS ?? 1);
const seed = Number(process.env.BKP_TEST_SEED ?? Date.now() % 1e9);

test(`increments follow every change of ${runs} schemas, from seed ${seed} on`, () => trySchemaChanges(runs, seed));
