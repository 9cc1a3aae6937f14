import {test} from 'vitest';
import {trySchemaChanges} from './schema-changes.ts';

const seed = Number(process.env.BKP_TEST_SEED ?? Date.now() % 1e9);

test(`increments follow every change of the schema, from seed ${seed} on`, () => trySchemaChanges(2, seed));
