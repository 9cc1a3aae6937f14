import {test} from 'vitest';
import {seed} from '../seeds/seed.ts';
import {trySchemaChanges} from './schema-changes.ts';

test(`increments follow every change of the schema, from seed ${seed} on`, () => trySchemaChanges(2, seed));
