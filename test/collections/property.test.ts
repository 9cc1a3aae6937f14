import {test} from 'vitest';
import {tryHistories} from './history.ts';

const runs = 12 * Number(process.env.BKP_TEST_RUNS ?? 1);

test('every backup of a random history is restored exactly', () => tryHistories(runs), 1_000_000);
