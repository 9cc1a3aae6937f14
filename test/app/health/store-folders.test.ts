import {expect, onTestFinished, test} from 'vitest';
import {checkSource, checkStores} from '../../../src/app/health/doctor-checks.ts';
import {StoreFolders} from '../../../src/app/health/store-folders.ts';
import {checkBackups} from '../../../src/app/schedules/check.ts';
import {execute} from '../../../src/app/statements/execute.ts';
import {runWorker} from '../../../src/commands/worker/index.ts';
import {parse} from '../../../src/sql/index.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';
import {openDesk} from '../../helpers/desk.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';

test('the checks of bkp doctor list the manifests of a store once', async () => {
  const desk = openDesk();
  const base = testDeps(desk.home);
  onTestFinished(() => base.close());
  const opened: {calls: readonly string[]}[] = [];
  const deps: TestDeps = {
    ...base,
    openStore: async (address, options) => {
      const counting = faultyStore(await base.openStore(address, options), {at: 0, fault: 'fail'});
      opened.push(counting);
      return counting;
    },
    settings: async () => ({
      ...(await base.settings()),
      source: `sqlite::path=${desk.database}`,
      cluster: desk.cluster,
    }),
    again: async () => deps,
    startWorker: ({number}) => runWorker(deps, {number}),
  };
  const run = async (statement: string) => execute(deps, parse(statement)[0]!);
  await run(`CREATE BACKUP COLLECTION c (TABLE orders) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true',
    SCHEDULE='0 2 * * *')`);
  await run('BACKUP c');
  opened.splice(0);
  const options = {repair: false, folders: new StoreFolders(deps)};
  for (const check of [checkStores, checkSource, checkBackups]) await check(deps, options);
  const calls = opened.flatMap((store) => store.calls).filter((call) => /^list \.?backups?\//.test(call));
  // The last one is that of the next increment, which checks whether it is possible.
  expect(calls).toEqual(['list .backups/collections/', 'list backup/', 'list .backups/collections/c/']);
});
