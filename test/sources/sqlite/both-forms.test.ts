import {test} from 'vitest';
import {tryBothForms} from './both-forms.ts';

const runs = Math.ceil(3 * Number(process.env.BKP_TEST_RUNS ?? 1));
const seed = Number(process.env.BKP_TEST_SEED ?? Date.now() % 1e9);

/** `npm run test:long` tries more of them. */
test(`rows and records of ${runs} databases restore the same, from seed ${seed} on`, () => tryBothForms(runs, seed));
