import {mkdirSync, renameSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {backupsOf, createC, type Desk, openDesk} from '../helpers/desk.ts';
import {type Direct, runDirectly} from '../helpers/run-directly.ts';

// A folder in the place of an object, as a wrong mount or a broken copy program leaves it, is damage with its path.

async function twoBackups(): Promise<{desk: Desk; run: Direct['run']; backups: string[]}> {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  desk.exec("INSERT INTO orders VALUES (4, 40, 'four')");
  await run('BACKUP c INCREMENTAL');
  return {desk, run, backups: await backupsOf(desk)};
}

test('a manifest that became a folder: every statement names it, and DROP removes the backup', async () => {
  const {desk, run, backups} = await twoBackups();
  const manifest = join(desk.cluster, '.backups/collections/c', backups[1]!, 'manifest');
  rmSync(manifest);
  mkdirSync(manifest);
  const says = expect.stringContaining(`${manifest} is a folder, not a file`);
  expect((await run('SHOW BACKUPS IN c')).table?.rows.map((row) => row.at(-1))).toEqual([null, says]);
  await expect(run('VERIFY c')).rejects.toMatchObject({code: 'DAMAGE_FOUND', details: [says]});
  await expect(run('RESTORE c')).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: says,
    next: expect.stringContaining(`RESTORE c AT '${backups[0]}'`),
  });
  const other = `fs::root=${join(desk.folder, 'other')}`;
  await expect(run(`COPY BACKUP COLLECTION c TO '${other}'`)).rejects.toMatchObject({details: [says]});
  await expect(run('BACKUP c INCREMENTAL')).rejects.toMatchObject({cause: expect.objectContaining({message: says})});
  await run(`DROP BACKUP c AT '${backups[1]}'`);
  expect(await backupsOf(desk)).toEqual([backups[0]]);
  await run('VERIFY c');
});

test('a header that became a folder: doctor names it and the way out, which works', async () => {
  const {desk} = await twoBackups();
  const header = join(desk.cluster, 'bkp.json');
  rmSync(header);
  mkdirSync(header);
  const {stdout} = await desk.bkp('doctor', '--repair');
  expect(stdout).toContain(`FAIL  vault: bkp.json is damaged: ${header} is a folder, not a file`);
  expect(stdout).toContain(`next: mv '${header}' /tmp/; then bkp doctor --repair writes it again`);
  renameSync(header, join(desk.folder, 'moved'));
  await desk.bkp('doctor', '--repair');
  expect(await backupsOf(desk)).toHaveLength(2);
});

test('a pack that became a folder is damage of its tables, and a full backup stores them again', async () => {
  const {desk, run} = await twoBackups();
  for (const key of desk.storedKeys().filter((name) => name.startsWith('packs/'))) {
    rmSync(join(desk.cluster, key));
    mkdirSync(join(desk.cluster, key));
  }
  await expect(run('VERIFY c')).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
    details: expect.arrayContaining([
      expect.stringMatching(/^orders, products of c.* is missing or has the wrong length$/),
    ]),
  });
  await run('BACKUP c');
  desk.remove('app.db', 'app.db-wal', 'app.db-shm');
  await run('RESTORE c');
  expect(desk.column('SELECT count(*) FROM orders')).toEqual([4]);
});
