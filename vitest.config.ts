import {globSync, readFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {defineConfig} from 'vitest/config';
import {keptCode} from './test/helpers/compiled-code.ts';

// The first need servers that were built before, the second minutes: `npm run test:servers`, `npm run test:long`.
const elsewhere = ['test/servers/**', 'test/long/**'];

/** They share one PostgreSQL server, which npm installed. */
const onPostgres = 'test/postgres/**/*.test.ts';

/** What a test changes or observes for every file in its process. */
const ofProcess = /\bvi\.(?:mock|doMock|hoisted|spyOn|stub\w+|use\w+)\b|\bprocess\.|\bglobalThis\b|\/proc\/|\bgc\(/;

/** A process a file, which takes a third of a second to start and load, for tests that share none. */
const alone = globSync('test/**/*.test.{ts,tsx}', {cwd: import.meta.dirname, exclude: [...elsewhere, onPostgres]})
  .filter((file) => ofProcess.test(readFileSync(`${import.meta.dirname}/${file}`, 'utf8')))
  .sort();

export default defineConfig({
  test: {
    env: keptCode,
    // A limit ends what hangs. A test never depends on it: a host may slow its machines down by a multiple, at
    // any moment.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: {poll: {timeout: 60_000}},
    // A third of their time they wait for processes and disks: a worker for each core, and one more.
    maxWorkers: availableParallelism() + 1,
    projects: [
      {
        extends: true,
        test: {name: 'postgres', include: [onPostgres], globalSetup: 'test/postgres/start-cluster.ts'},
      },
      {extends: true, test: {name: 'alone', include: alone}},
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
          exclude: [...elsewhere, onPostgres, ...alone],
          isolate: false,
        },
      },
    ],
  },
});
