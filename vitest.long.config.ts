import {availableParallelism} from 'node:os';
import {defineConfig} from 'vitest/config';
import {keptCode} from './test/helpers/compiled-code.ts';
import {slowestFirst} from './test/helpers/slowest-first.ts';

/** Many real processes one after the other, or killed one after the other: minutes, and so not a part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    sequence: {sequencer: slowestFirst('long/mutations', 'long/crash', 'long/both-forms')},
    testTimeout: 600_000,
    hookTimeout: 240_000,
    expect: {poll: {timeout: 60_000}},
    env: keptCode,
    // They wait for processes and disks half of their time.
    maxWorkers: availableParallelism() + 1,
  },
});
