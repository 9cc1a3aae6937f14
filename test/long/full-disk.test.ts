import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {runBkp} from '../helpers/bkp.ts';
import {backupsOf, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';
import {mayMount, smallDisk} from '../helpers/small-disk.ts';

// Real disks that are full or read-only, for every path that bkp writes.

const kibi = 1024;
const create = "CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')";
const schema = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
  INSERT INTO t SELECT i, randomblob(1000) FROM n;
`;
const changeAll = 'UPDATE t SET bytes = randomblob(1000)';
const rows = 'SELECT id, hex(bytes) AS bytes FROM t ORDER BY id';

const temporaries = (folder: string) =>
  readdirSync(folder, {recursive: true}).filter((name) => /tmp|temp/i.test(String(name)));

test.skipIf(!mayMount)('a full cluster: nothing half, and the next backup works', async () => {
  const desk = openDesk(schema);
  const disk = smallDisk(join(desk.folder, 'disk'), 8 * 1024 * kibi);
  const on = {...desk, cluster: join(disk.folder, 'cluster')};
  const {run} = runDirectly(on);
  disk.leave(0);
  await expect(run(create)).rejects.toMatchObject({code: 'STORE_FULL', next: expect.stringContaining('free space')});
  disk.leave(undefined);
  await run(create);
  await run('BACKUP c');
  let failures = 0;
  let before = desk.all(rows);
  // From the lease through pack and index to the manifest; a tmpfs counts pages.
  for (const pages of [0, 1, 2, 3, 27, 28, 29, 30, 31, 32]) {
    for (const statement of ['BACKUP c', 'BACKUP c INCREMENTAL']) {
      desk.exec(changeAll);
      disk.leave(pages * 4 * kibi);
      const error = await run(statement).then(
        () => undefined,
        (thrown) => thrown,
      );
      disk.leave(undefined);
      if (error === undefined) {
        before = desk.all(rows);
      } else {
        failures++;
        expect(error, `${pages} pages, ${statement}`).toMatchObject({code: 'STORE_FULL', exitStatus: 1});
      }
      expect(temporaries(on.cluster)).toEqual([]);
      await run('VERIFY c');
    }
    const target = join(desk.folder, `new${pages}.db`);
    await runDirectly({...on, database: target}).run('RESTORE c');
    expect(desk.all(rows, target), `${pages} pages`).toEqual(before);
  }
  expect(failures).toBeGreaterThan(8);
  await run('BACKUP c INCREMENTAL');
  await run('DROP BACKUP COLLECTION c');
});

test.skipIf(!mayMount)('a cluster without a free byte is made smaller by bkp alone', async () => {
  const desk = openDesk(`${schema} UPDATE t SET bytes = randomblob(20000)`);
  const disk = smallDisk(join(desk.folder, 'disk'), 12 * 1024 * kibi);
  const cluster = join(disk.folder, 'cluster');
  const {run} = runDirectly({...desk, cluster});
  const spare = () => statSync(join(cluster, '.bkp#spare'), {throwIfNoEntry: false})?.size;
  await run(create);
  for (let backup = 0; backup < 3; backup++) {
    desk.exec('UPDATE t SET bytes = randomblob(20000)');
    await run('BACKUP c');
  }
  expect(spare()).toBe(1024 * kibi);
  desk.exec('UPDATE t SET bytes = randomblob(20000)');
  disk.leave(0);
  await expect(run('BACKUP c')).rejects.toMatchObject({code: 'STORE_FULL'});
  expect(spare(), 'after a backup that failed').toBe(1024 * kibi);
  disk.leave(0);
  const {table} = await run('SHOW BACKUPS IN c');
  await run(`DROP BACKUP c AT '${table!.rows.at(-1)![0]}'`);
  expect(spare(), 'after a removal').toBe(1024 * kibi);
  disk.leave(0);
  await run('DROP BACKUP COLLECTION c');
  expect(spare()).toBe(1024 * kibi);
});

test.skipIf(!mayMount)('a full or read-only cluster as a user meets it', async () => {
  const desk = openDesk(schema);
  const disk = smallDisk(join(desk.folder, 'disk'), 2 * 1024 * kibi);
  const bkp = (...args: string[]) => desk.bkp('--cluster', join(disk.folder, 'cluster'), ...args);
  expect(await bkp('sql', '--wait', `${create}; BACKUP c`)).toMatchObject({status: 0});
  disk.leave(0);
  const full = await bkp('sql', '--wait', 'BACKUP c');
  expect(full.status).toBe(1);
  expect(full.stderr).toMatch(
    /^bkp: the store fs::root=.*disk\/cluster is full \(UNAVAILABLE\)\ncause: ENOSPC.*\nnext: {2}free space/m,
  );
  expect(full.stderr).not.toMatch(/^ {4}at /m);
  disk.leave(undefined);
  disk.readOnly(true);
  const readOnly = await bkp('sql', '--wait', 'BACKUP c');
  expect(readOnly.stderr).toMatch(/mounted read-only/);
  expect(readOnly.status).toBe(1);
  // Readers still work.
  for (const statement of ['VERIFY c', 'SHOW BACKUPS IN c', 'SHOW BACKUP COLLECTIONS'])
    expect(await bkp('sql', '--wait', statement), statement).toMatchObject({status: 0});
  const restored = await bkp('--source', join(desk.folder, 'new.db'), 'sql', '--wait', 'RESTORE c');
  expect(restored, restored.stderr).toMatchObject({status: 0});
  disk.readOnly(false);
  expect(await bkp('sql', '--wait', 'BACKUP c')).toMatchObject({status: 0});
});

test.skipIf(!mayMount)('bkp reports a full or read-only home, or works without it', async () => {
  const desk = openDesk(schema);
  await desk.sqlWait(`${create}; BACKUP c`);
  const disk = smallDisk(join(desk.folder, 'disk'), 1024 * kibi);
  const home = join(disk.folder, 'home');
  const env = {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster};
  const bkp = (...args: string[]) => runBkp(args, {home, env, cwd: desk.folder});
  const outcomes = new Set<number | null>();
  for (const pages of [0, 4, 12, 24, 36]) {
    disk.leave(pages * 4 * kibi);
    const result = await bkp('sql', '--wait', 'BACKUP c');
    outcomes.add(result.status);
    if (result.status !== 0) expect(result.stderr, `${pages} pages`).toMatch(/^bkp: .* \(UNAVAILABLE\)\n.*\n?next: /m);
    expect(result.stderr).not.toMatch(/INTERNAL_ERROR|^ {4}at /m);
  }
  expect(outcomes).toContain(1);
  disk.leave(0);
  const looking = await bkp('sql', "SELECT count(*) FROM backup('t').t");
  expect(looking.stderr).toMatch(/^bkp: .*\n(cause: .*\n)?next: .*disk\/home/m);
  const setting = await bkp('config', 'set', 'check', 'full');
  expect(setting.stderr).toMatch(/cannot write the configuration .*\ncause: .*\nnext: .*df -h '.*disk\/home'/);
  expect((await bkp('doctor')).stdout).toMatch(/^FAIL .*the disk of .*disk\/home is full/m);
  disk.leave(undefined);
  expect(await bkp('sql', '--wait', 'BACKUP c')).toMatchObject({status: 0});
  disk.readOnly(true);
  expect(await bkp('sql', 'SHOW BACKUPS IN c')).toMatchObject({status: 0});
  const refused = await bkp('sql', 'BACKUP c');
  expect(refused).toMatchObject({status: 1, stdout: ''});
  expect(refused.stderr).toMatch(/the journal .* cannot be used \(UNAVAILABLE\)\n.*\nnext: /);
  expect((await backupsOf(desk)).length).toBeGreaterThan(1);
});

test.skipIf(!mayMount)('a plan of a whole database, and its restore, say that the space may not suffice', async () => {
  const desk = openDesk(`${schema} UPDATE t SET bytes = randomblob(20000)`);
  const disk = smallDisk(join(desk.folder, 'disk'), 1024 * kibi);
  const bkp = (...args: string[]) => desk.bkp('--store', `fs::root=${join(desk.folder, 'objects')}`, ...args);
  expect(await bkp('sql', '--wait', 'BACKUP DATABASE')).toMatchObject({status: 0});
  const target = join(disk.folder, 'new.db');
  const short = /^bkp: the space may not suffice: about 2\.\d MiB needed in .*disk\/new\.db, 1\.0 MiB free$/m;
  const plan = await bkp('sql', `RESTORE DATABASE INTO '${target}' WITH (DRY_RUN='true')`);
  expect(plan.status).not.toBe(0);
  expect(plan.stderr).toMatch(short);
  const restore = await bkp('sql', '--wait', `RESTORE DATABASE INTO '${target}'`);
  expect(restore.status).toBe(1);
  expect(restore.stderr).toMatch(short);
  const fits = await bkp('sql', `RESTORE DATABASE INTO '${join(desk.folder, 'new.db')}' WITH (DRY_RUN='true')`);
  expect(fits).toMatchObject({status: 0, stderr: ''});
});
