import {defineConfig} from 'vitest/config';

/** Many real processes one after the other, or killed one after the other: minutes, and so not a part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    testTimeout: 240_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
