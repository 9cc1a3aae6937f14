import {onTestFinished} from 'vitest';
import {type Answer, execute} from '../../src/app/statements/execute.ts';
import {runWorker} from '../../src/commands/worker/index.ts';
import {fromPlain} from '../../src/errors/index.ts';
import type {OperationResult} from '../../src/ops/index.ts';
import {parse} from '../../src/sql/index.ts';
import {type TestDeps, testDeps} from './deps.ts';
import type {Desk} from './desk.ts';

export type Direct = {
  /** Executes the statement and its operation. @throws BkpError the error of the statement or its operation */
  run: (statement: string) => Promise<Answer & {result?: OperationResult}>;
  /** Executes the statement and leaves its operation queued. */
  give: (statement: string) => Promise<Answer>;
};

/**
 * Executes the statements of a desk in this process: for tests with many cases that do not concern processes.
 */
export function runDirectly(desk: Desk, overrides: Partial<TestDeps> = {}): Direct {
  const base = testDeps(desk.home);
  onTestFinished(() => base.close());
  const deps: TestDeps = {
    ...base,
    settings: async () => ({...(await base.settings()), source: desk.database, cluster: desk.cluster}),
    startWorker: async () => {},
    ...overrides,
  };
  const give = (statement: string) => execute(deps, parse(statement)[0]!);
  return {
    give,
    run: async (statement) => {
      const answer = await give(statement);
      if (answer.operation === undefined) return answer;
      const {number} = answer.operation;
      await runWorker(deps, {number});
      const {state} = await (await deps.journal()).get(number);
      if (state.name !== 'done') throw new Error(`operation ${number} is still ${state.name}`);
      if (state.outcome.status === 'ERROR') throw fromPlain(state.outcome.error);
      return {...answer, result: state.outcome.result};
    },
  };
}
