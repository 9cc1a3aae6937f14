import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {expect, test} from 'vitest';

// Whoever takes a guard of leases, commits, cleanups, fingerprints, seals, keys, restores, retention or schedules away,
// makes a test fail: see test/mutations.

const root = join(import.meta.dirname, '../..');

test('each guard of the list is held by the test that is named beside it', async () => {
  // Without what this run of Vitest puts into the environment: the other one is a run of its own.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:VITEST|TEST$|NODE_ENV$)/.test(name)),
  );
  const run = spawn(process.execPath, ['test/mutations/main.ts'], {cwd: root, env, stdio: ['ignore', 'pipe', 'pipe']});
  let text = '';
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (part) => (text += part));
  const [status] = (await once(run, 'close')) as [number];
  expect(text).toMatch(/\d+ mutants, each noticed\n$/);
  expect(status).toBe(0);
}, 2_400_000);
