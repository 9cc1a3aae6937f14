import {onTestFinished} from 'vitest';
import {execute} from '../../src/app/statements/execute.ts';
import type {StatementResult} from '../../src/app/statements/result.ts';
import {type Table, tableOf} from '../../src/commands/tables.ts';
import {runWorker} from '../../src/commands/worker/index.ts';
import {fromPlain} from '../../src/errors/index.ts';
import type {Operation, OperationResult} from '../../src/ops/index.ts';
import {parse} from '../../src/sql/index.ts';
import {type TestDeps, testDeps} from './deps.ts';
import type {Desk} from './desk.ts';

/** `table`: what `bkp sql` prints. */
export type Returned = StatementResult & {table: Table | undefined};

export type Direct = {
  /** Executes the statement and its operation. @throws BkpError the error of the statement or its operation */
  run: (statement: string) => Promise<Returned & {ended?: Operation; result?: OperationResult}>;
  /** Executes the statement and leaves its operation queued. */
  give: (statement: string) => Promise<Returned>;
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
  const give = async (statement: string) => {
    const result = await execute(deps, parse(statement)[0]!);
    return {...result, table: tableOf(result)};
  };
  return {
    give,
    run: async (statement) => {
      const returned = await give(statement);
      if (returned.operation === undefined) return returned;
      const {number} = returned.operation;
      await runWorker(deps, {number});
      const ended = await (await deps.journal()).get(number);
      const {state} = ended;
      if (state.name !== 'done') throw new Error(`operation ${number} is still ${state.name}`);
      if (state.outcome.status === 'ERROR') throw fromPlain(state.outcome.error);
      return {...returned, ended, result: state.outcome.result};
    },
  };
}
