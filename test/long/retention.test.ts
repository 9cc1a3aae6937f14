import {chmodSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {Operation} from '../../src/ops/index.ts';
import {backupsOf, type Desk, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const create = (settings: string) =>
  `CREATE BACKUP COLLECTION c (TABLE orders, TABLE products) WITH (STORAGE='cluster', ${settings})`;

type Row = {collection: string; backup: string; action: string; why: string};

async function planned(desk: Desk, ...words: string[]): Promise<Row[]> {
  const {stdout, status} = await desk.bkp('retention', 'plan', ...words, '--format', 'json');
  expect(status).toBe(0);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

async function cleanups(
  desk: Desk,
): Promise<{id: string; statement: string; status: string; issues?: {message: string}[]}[]> {
  const {stdout} = await desk.bkp('operation', 'list', 'cleanup', '--format', 'json');
  return JSON.parse(stdout).operations;
}

test('each backup keeps the newest ones, which can be restored, and the plan shows the others', async () => {
  const desk = openDesk();
  await desk.sql(create("INCREMENTAL_BACKUP_ENABLED='true', KEEP_LATEST='2'"));
  expect(await desk.sql('SHOW BACKUP COLLECTIONS')).toContain("KEEP_LATEST='2'");
  await desk.sqlWait('BACKUP c');
  desk.exec("UPDATE orders SET txt = 'second' WHERE id = 1");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  expect(await cleanups(desk)).toEqual([]);
  const [first, second] = await backupsOf(desk);
  expect(await planned(desk)).toEqual([
    {collection: 'c', backup: second, action: 'stays', rules: 'last', why: 'one of the newest 2'},
    {collection: 'c', backup: first, action: 'stays', rules: 'last', why: 'one of the newest 2, until the next backup'},
  ]);
  desk.exec("UPDATE orders SET txt = 'third' WHERE id = 1");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const [cleanup] = await cleanups(desk);
  expect(cleanup).toMatchObject({statement: 'cleanup after incbackup/3'});
  expect((await desk.bkp('operation', 'wait', cleanup!.id)).status).toBe(0);
  const third = (await backupsOf(desk)).at(-1)!;
  expect(await backupsOf(desk)).toEqual([second, third]);
  expect((await cleanups(desk))[0]!.issues).toEqual([{message: `removed by KEEP_LATEST='2': ${first}`}]);
  for (const [backup, txt] of [
    [second, 'second'],
    [third, 'third'],
  ]) {
    desk.exec('DROP TABLE orders; DROP TABLE products');
    await desk.sqlWait(`RESTORE c AT '${backup}'`);
    expect(desk.column('SELECT txt FROM orders ORDER BY id')).toEqual([txt, 'two', 'three']);
  }
});

test('a failed backup removes nothing', async () => {
  const desk = openDesk();
  const started: Operation[] = [];
  const {run} = runDirectly(desk, {startWorker: async (operation) => void started.push(operation)});
  await run(create("KEEP_LATEST='3'"));
  for (let n = 0; n < 3; n++) await run('BACKUP c');
  await run("ALTER BACKUP COLLECTION c SET (KEEP_LATEST='1')");
  const before = await backupsOf(desk);
  rmSync(desk.database);
  rmSync(`${desk.database}-wal`, {force: true});
  writeFileSync(desk.database, 'not a database at all, but long enough to be looked at as one '.repeat(40));
  await expect(run('BACKUP c')).rejects.toThrow();
  expect(started.filter(({kind}) => kind === 'cleanup')).toEqual([]);
  expect(await backupsOf(desk)).toEqual(before);
});

test('KEEP_LATEST is read again before the removal: if it was unset meanwhile, nothing is removed', async () => {
  const desk = openDesk();
  const queued: Operation[] = [];
  const {run} = runDirectly(desk, {startWorker: async (operation) => void queued.push(operation)});
  await run(create("KEEP_LATEST='1'"));
  await run('BACKUP c');
  await run('BACKUP c');
  expect(await planned(desk, 'c')).toMatchObject([{action: 'stays'}, {action: 'goes', why: 'not one of the newest 1'}]);
  await run('ALTER BACKUP COLLECTION c RESET (KEEP_LATEST)');
  const cleanup = queued.find(({kind}) => kind === 'cleanup')!;
  expect((await desk.bkp('worker', String(cleanup.number))).status).toBe(0);
  expect((await cleanups(desk))[0]).toMatchObject({id: `cleanup/${cleanup.number}`, status: 'SUCCESS'});
  expect(await backupsOf(desk)).toHaveLength(2);
  expect(await planned(desk, 'c')).toMatchObject([{why: 'the collection has no KEEP_… setting'}, {action: 'stays'}]);
  expect((await desk.bkp('retention', 'plan')).stderr).toBe(
    'bkp: no collection has a KEEP_… setting: every backup of them stays\n',
  );
});

test('a backup that a queued restore needs is kept', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(create("KEEP_LATEST='9'"));
  for (let n = 0; n < 3; n++) await run('BACKUP c');
  await run("ALTER BACKUP COLLECTION c SET (KEEP_LATEST='1')");
  const [first, second, third] = await backupsOf(desk);
  const target = join(desk.folder, 'new.db');
  const direct = runDirectly({...desk, database: target});
  await expect(direct.give(`RESTORE c AT '${first}'`)).resolves.toMatchObject({operation: {kind: 'restore'}});
  expect((await planned(desk, 'c')).map(({backup, action, why}) => [backup, action, why])).toEqual([
    [third, 'stays', 'one of the newest 1, until the next backup'],
    [second, 'goes', 'not one of the newest 1'],
    [first, 'stays', expect.stringMatching(/^restore\/\d+ reads it$/)],
  ]);
});

test('the plan of a missing collection is an error', async () => {
  const desk = openDesk();
  expect(await desk.bkp('retention', 'plan')).toMatchObject({status: 12, stderr: expect.stringContaining('no vault')});
  await desk.sql(create("KEEP_LATEST='1'"));
  expect(await desk.bkp('retention', 'plan', 'other')).toMatchObject({status: 10});
});

test('the plan lists what backup.cleanup.keep.latest.n removes now, only of the profile’s own database', async () => {
  const desk = openDesk(undefined, {BKP_STORE: 'fs::root=./store'});
  for (let n = 0; n < 3; n++) await desk.sqlWait('BACKUP DATABASE');
  const all = (
    await desk.bkp('sql', '--format', 'json', 'SELECT start_ts, backup_instance_name AS name FROM backups()')
  ).stdout;
  const [first, second, third] = all
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as {start_ts: string; name: string})
    .map(({start_ts, name}) => `${name}/${start_ts}`);
  expect((await desk.bkp('config', 'set', 'backup.cleanup.keep.latest.n', '2')).status).toBe(0);
  expect(await planned(desk)).toEqual([
    {collection: null, backup: third, action: 'stays', rules: 'last', why: 'number 1 of the 2 newest'},
    {collection: null, backup: second, action: 'stays', rules: 'last', why: 'number 2 of the 2 newest'},
    {collection: null, backup: first, action: 'goes', rules: '', why: '2 complete backups are newer'},
  ]);
  // Another machine's database in the same store: its own profile sets how many of its backups are kept.
  desk.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)', join(desk.folder, 'other.db'));
  const other = await desk.bkp('--source', 'other.db', 'retention', 'plan', '--format', 'json');
  expect(other).toMatchObject({status: 0, stdout: ''});
  const away = await desk.bkp('--source', 'absent.db', 'retention', 'plan');
  expect(away.status).toBe(0);
  expect(away.stderr).toContain('backups of the database are left out: ');
});

test('backups() and the plan report a database backup that VERIFY found damaged', async () => {
  const desk = openDesk(undefined, {BKP_STORE: 'fs::root=./store', BKP_BACKUP_CLEANUP_KEEP_LATEST_N: '1'});
  await desk.sqlWait('BACKUP DATABASE');
  const packs = join(desk.folder, 'store', 'packs');
  for (const name of readdirSync(packs, {recursive: true, encoding: 'utf8'}).filter((path) => path.length > 60)) {
    const bytes = readFileSync(join(packs, name));
    bytes[500]! ^= 1;
    chmodSync(join(packs, name), 0o600);
    writeFileSync(join(packs, name), bytes);
  }
  const rows = async () =>
    (await desk.bkp('sql', '--format', 'json', 'SELECT status, backup_error FROM backups()')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  expect(await rows()).toEqual([{status: 'backup complete', backup_error: null}]);
  for (const level of ['data', 'structure']) {
    const verified = await desk.bkp('sql', '--wait', `VERIFY DATABASE WITH (LEVEL='${level}')`);
    expect(verified.status, level).toBe(13);
  }
  expect(await rows()).toEqual([{status: 'backup failed', backup_error: expect.stringContaining('found damaged')}]);
  expect(await planned(desk)).toMatchObject([{action: 'stays', why: expect.stringContaining('not counted')}]);
});
