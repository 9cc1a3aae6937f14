import {expect, test} from 'vitest';
import {checkSource, checkStores} from '../../../src/app/health/doctor-checks.ts';
import {StoreFolders} from '../../../src/app/health/store-folders.ts';
import {checkBackups} from '../../../src/app/schedules/check.ts';
import {execute} from '../../../src/app/statements/execute.ts';
import {parse} from '../../../src/sql/index.ts';
import {openDesk} from '../../helpers/desk.ts';
import {deskDeps} from '../../helpers/desk-deps.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';

test('the checks of bkp doctor list the manifests of a store once', async () => {
  const desk = openDesk();
  const deps = deskDeps(desk);
  const opened: {calls: readonly string[]}[] = [];
  const {openStore} = deps;
  deps.openStore = async (address, options) => {
    const counting = faultyStore(await openStore(address, options), {at: 0, fault: 'fail'});
    opened.push(counting);
    return counting;
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
