import {expect, onTestFinished, test} from 'vitest';
import {launchWorker} from '../../../src/app/workers/launch.ts';
import {parseWorkerInput, type WorkerInput} from '../../../src/app/workers/worker-input.ts';
import type {NewOperation, WaitingWorker} from '../../../src/ops/index.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {testDeps} from '../../helpers/deps.ts';
import {newOperation} from '../../ops/home.ts';

/** What the worker of an operation of this kind is told. */
async function inputOf(kind: NewOperation['kind'], variables: Record<string, string> = {}): Promise<WorkerInput> {
  const {home, remove} = temporaryHome();
  onTestFinished(remove);
  const deps = testDeps(home);
  onTestFinished(() => deps.close());
  Object.assign(deps.env, variables);
  let input = '';
  const worker = {
    async take(text: string) {
      input = text;
      return process.pid;
    },
  };
  const operation = await (await deps.journal()).create(newOperation({kind}));
  await launchWorker(deps, operation, Promise.resolve(worker as unknown as WaitingWorker));
  return parseWorkerInput(input);
}

test('a longer backup gives way to other programs, but nothing that a user waits for', async () => {
  expect(await inputOf('fullbackup')).toMatchObject({number: 1, niceness: 5});
  expect((await inputOf('restore')).niceness).toBeUndefined();
});

test('backup.niceness says by how much a backup gives way', async () => {
  expect((await inputOf('fullbackup', {BKP_BACKUP_NICENESS: '7'})).niceness).toBe(7);
  expect((await inputOf('fullbackup', {BKP_BACKUP_NICENESS: '0'})).niceness).toBeUndefined();
});
