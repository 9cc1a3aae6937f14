import {defineConfig} from 'vitest/config';

/** A real worker is killed before each of its store calls in turn: minutes, and so not a part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/crash/**/*.test.ts'],
    testTimeout: 240_000,
    hookTimeout: 60_000,
  },
});
