import {availableParallelism} from 'node:os';
import {defineConfig} from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
    // The first need servers that were built before, the second minutes: `npm run test:servers`, `npm run test:long`.
    exclude: ['test/servers/**', 'test/long/**'],
    // Many tests start the real bkp as a process; on two busy cores that takes its time.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Much of their time they wait for processes and disks: a worker a core, where Vitest would leave one core idle.
    maxWorkers: Math.max(2, availableParallelism()),
  },
});
