import {availableParallelism} from 'node:os';
import {defineConfig} from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
    // The first need servers that were built before, the second minutes: `npm run test:servers`, `npm run test:long`.
    exclude: ['test/servers/**', 'test/long/**'],
    // A limit ends what hangs. A test never depends on it: a host may slow its machines down by a multiple, at
    // any moment.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: {poll: {timeout: 60_000}},
    // Much of their time they wait for processes and disks: a worker a core, where Vitest would leave one core idle.
    maxWorkers: Math.max(2, availableParallelism()),
  },
});
