import {test} from 'vitest';
import {seed} from '../../seeds/seed.ts';
import {tryBothForms} from './both-forms.ts';

const runs = Math.ceil(3 * Number(process.env.BKP_TEST_RUNS ?? 1));

/** `npm run test:long` tries more of them. */
test(`rows and records of ${runs} databases restore the same, from seed ${seed} on`, () => tryBothForms(runs, seed));
