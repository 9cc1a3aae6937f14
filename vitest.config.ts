import {defineConfig} from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
    // Many tests start the real bkp as a process; on two busy cores that takes its time.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
