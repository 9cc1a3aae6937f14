import {test} from 'vitest';
import {seed} from '../seeds/seed.ts';
import {tryBothForms} from '../sources/sqlite/both-forms.ts';

const runs = 100 * Number(process.env.BKP_TEST_RUNS ?? 1);

test(`rows and records of ${runs} databases restore the same, from seed ${seed} on`, () => tryBothForms(runs, seed));
