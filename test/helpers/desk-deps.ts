import {onTestFinished} from 'vitest';
import {runWorker} from '../../src/commands/worker/index.ts';
import {type TestDeps, testDeps} from './deps.ts';
import type {Desk} from './desk.ts';

/** Dependencies with the database and the cluster of a desk. Operations run in this process. */
export function deskDeps(desk: Desk): TestDeps {
  const base = testDeps(desk.home);
  onTestFinished(() => base.close());
  const deps: TestDeps = {
    ...base,
    settings: async () => ({
      ...(await base.settings()),
      source: `sqlite::path=${desk.database}`,
      cluster: desk.cluster,
    }),
    again: async () => deps,
    startWorker: ({number}) => runWorker(deps, {number}),
  };
  return deps;
}
