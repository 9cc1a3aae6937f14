import {test} from 'vitest';
import {layOutAround} from '../sources/sqlite/layout/around-lock-page.ts';
import {checkRandomDatabases} from '../sources/sqlite/layout/random-layout.ts';

/** More cases: BKP_LAYOUT_CASES=10000 npx vitest run --config vitest.long.config.ts test/long/layout.test.ts */
const numRuns = Number(process.env.BKP_LAYOUT_CASES ?? 150);
const seed = Number(process.env.BKP_LAYOUT_SEED ?? Date.now() % 2 ** 31);

test(
  `a database laid out from its records passes SQLite's check and has all values (seed ${seed})`,
  () => checkRandomDatabases({seed, numRuns}),
  120_000 + numRuns * 5000,
);

test.each([1, 2, 3, 4, 5, 6, 7, 8, 13, 21])(
  'the page with the bytes that SQLite locks stays empty wherever pages begin (%i before)',
  (before) => layOutAround({pageSize: 16384, autoVacuum: 1}, before),
);

// A file of two million pages takes SQLite seconds to check.
test.each([
  {pageSize: 512, autoVacuum: 0},
  {pageSize: 512, autoVacuum: 1, reserved: 8},
])('the page stays empty in a file of small pages (auto_vacuum $autoVacuum)', async (file) => {
  for (const before of [1, 5, 50]) await layOutAround(file, before);
});
