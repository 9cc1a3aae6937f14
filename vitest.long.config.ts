import {availableParallelism} from 'node:os';
import {defineConfig} from 'vitest/config';
import {keptCode} from './test/helpers/compiled-code.ts';

/** Many real processes one after the other, or killed one after the other: minutes, and so not a part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    env: keptCode,
    testTimeout: 600_000,
    hookTimeout: 240_000,
    expect: {poll: {timeout: 60_000}},
    // They wait for processes and disks half of their time.
    maxWorkers: availableParallelism() + 1,
  },
});
