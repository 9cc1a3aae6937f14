import {expect, onTestFinished, test} from 'vitest';
import type {Workplace} from '../../../src/app/places/workplace.ts';
import {restoreDatabaseInto, versionNotice} from '../../../src/app/statements/database-restore.ts';
import {FakeDatabase, takeBackup} from '../../database/fakes.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {testDeps} from '../../helpers/deps.ts';
import {inProcess} from '../../helpers/in-process.ts';
import {ExecStandIn} from '../../sources/questdb/exec-stand-in.ts';
import {writeRecordedRoot} from '../../sources/questdb/recorded-root.ts';

test('a restore warns if the source’s server runs another major version than the backup’s', async () => {
  const {home, remove} = temporaryHome();
  onTestFinished(remove);
  const root = `${home}/root`;
  writeRecordedRoot(root);
  const server = await ExecStandIn.start(root);
  const deps = testDeps(home);
  onTestFinished(() => deps.close());
  const place = {
    source: `questdb::root=${root};http=${server.url}`,
    store: {kind: 'directory', root: '/s'},
  } as Workplace;
  const told = (version: string) => versionNotice(deps, place, {product: 'questdb', version, tables: []});
  expect(await told('8.2.0')).toContain('start the restored root with version 8');
  expect(await told('9.0.1')).toBeUndefined();
  await server.stop();
  expect(await told('8.2.0')).toBeUndefined();
});

test('a restore asks the source’s server before it creates the operation', async () => {
  const {home, remove} = temporaryHome();
  onTestFinished(remove);
  const [root, cluster] = [`${home}/root`, `${home}/store`];
  writeRecordedRoot(root);
  const server = await ExecStandIn.start(root);
  onTestFinished(() => server.stop());
  const database = new FakeDatabase();
  database.set('db/trades/price.d', 'bytes', {table: 'trades'});
  await inProcess({database: '', cluster}).vault((vault) => takeBackup(vault, database));
  const deps = testDeps(home);
  onTestFinished(() => deps.close());
  Object.assign(deps.env, {
    BKP_SOURCE: `questdb::root=${root};http=${server.url}`,
    BKP_STORE: `fs::root=${cluster}`,
  });
  // The journal is opened when the operation is written.
  let askedBefore: string[] | undefined;
  const {journal} = deps;
  deps.journal = () => {
    askedBefore ??= [...server.statements];
    return journal();
  };
  deps.startWorker = async () => {};
  await restoreDatabaseInto(deps, {target: `${home}/restored`, statement: 'RESTORE DATABASE'});
  expect(askedBefore).toContain('SELECT build() AS build');
});
