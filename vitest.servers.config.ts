import {defineConfig} from 'vitest/config';
import {seedOfCheckout} from './test/seeds/of-checkout.ts';

/** Tests on real servers, which `npm run test:servers` builds first. They fail, and are never skipped, without them. */
export default defineConfig({
  test: {
    include: ['test/servers/**/*.test.ts'],
    // They wait for faults to be noticed and for real backups to end.
    env: {BKP_TEST_SEED: `${seedOfCheckout()}`},
    testTimeout: 600_000,
    hookTimeout: 240_000,
    expect: {poll: {timeout: 60_000}},
    // Each file starts servers of its own, which want a core too.
    maxWorkers: 2,
  },
});
