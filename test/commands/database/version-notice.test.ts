import {expect, onTestFinished, test} from 'vitest';
import {versionNotice} from '../../../src/commands/database/statements.ts';
import type {Workplace} from '../../../src/commands/workplace.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {testDeps} from '../../helpers/deps.ts';
import {ExecStandIn} from '../../sources/questdb/exec-stand-in.ts';
import {writeRecordedRoot} from '../../sources/questdb/recorded-root.ts';

test('a backup of another major version than the source’s server is told; the same one, or nobody there, is not', async () => {
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
