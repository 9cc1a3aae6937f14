import {copyFileSync, mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {planRestoreInto} from '../../../src/app/statements/database-restore.ts';
import {openFileSource} from '../../../src/sources/index.ts';
import {takeBackup} from '../../database/fakes.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {testDeps} from '../../helpers/deps.ts';
import {inProcess} from '../../helpers/in-process.ts';

test('of several databases the profile’s own is restored; if it is gone, the instance must be named', async () => {
  const {home, remove} = temporaryHome();
  onTestFinished(remove);
  const [cluster, path, copy] = [join(home, 'store'), join(home, 'app.db'), join(home, 'copy.db')];
  mkdirSync(home, {recursive: true});
  const db = new DatabaseSync(path);
  db.exec('CREATE TABLE t (a)');
  db.close();
  const take = async (file: string) =>
    inProcess({database: '', cluster}).vault(async (vault) => {
      const source = await openFileSource({scheme: 'sqlite', path: file});
      return (await takeBackup(vault, source)).instance;
    });
  const own = await take(path);
  copyFileSync(path, copy);
  const other = await take(copy);
  expect(other).not.toBe(own);
  const wish = {target: join(home, 'new.db'), statement: 'RESTORE DATABASE'};
  const planned = async (source: string, instance?: string) => {
    const deps = testDeps(home);
    Object.assign(deps.env, {BKP_STORE: `fs::root=${cluster}`, BKP_SOURCE: source});
    onTestFinished(() => deps.close());
    const {plan} = await planRestoreInto(
      deps,
      {...wish, ...(instance === undefined ? {} : {instance})},
      {fetchBytes: false},
    );
    return plan.instance;
  };
  expect(await planned(path)).toBe(own);
  expect(await planned(copy)).toBe(other);
  rmSync(path);
  await expect(planned(path)).rejects.toMatchObject({next: expect.stringContaining('--instance')});
  expect(await planned(path, own)).toBe(own);
});
