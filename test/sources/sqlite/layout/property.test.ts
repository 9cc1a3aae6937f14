import {test} from 'vitest';
import {checkRandomDatabases} from './random-layout.ts';

// test/long/layout.test.ts runs more cases.
const seed = Date.now() % 2 ** 31;

test(`a database laid out from its records passes SQLite's check and has all values (seed ${seed})`, () =>
  checkRandomDatabases({seed, numRuns: 8}));
