import {availableParallelism} from 'node:os';
import {defineConfig} from 'vitest/config';
import {keptCode} from './test/helpers/compiled-code.ts';
import {slowestFirst} from './test/helpers/slowest-first.ts';

/** Tests on real servers, which `npm run test:servers` builds first. They fail, and are never skipped, without them. */
export default defineConfig({
  test: {
    include: ['test/servers/**/*.test.ts'],
    sequence: {sequencer: slowestFirst('servers/crash')},
    env: keptCode,
    // They wait for faults to be noticed and for real backups to end.
    testTimeout: 600_000,
    hookTimeout: 240_000,
    expect: {poll: {timeout: 60_000}},
    // Each file starts servers of its own, and waits for them as long as it works.
    maxWorkers: availableParallelism() + 1,
  },
});
