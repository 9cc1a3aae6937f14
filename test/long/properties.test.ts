import {test} from 'vitest';
import {checkBackups, checkSameSegments, checkWritesMeanwhile} from '../sources/sqlite/random-changes.ts';

const runs = 20 * Number(process.env.BKP_TEST_RUNS ?? 1);

test('whatever happens to a table, each backup restores it unchanged', () => checkBackups(3 * runs), 600_000);

test(
  'writes of another connection during a backup are in the next increment',
  () => checkWritesMeanwhile(runs),
  600_000,
);

test('segments of a table without changes are the same bytes in the next base', () => checkSameSegments(runs), 600_000);
