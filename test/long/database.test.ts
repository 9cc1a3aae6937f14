import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {runBkp} from '../helpers/bkp.ts';
import {casesSchema, type Desk, openDesk} from '../helpers/desk.ts';

// BACKUP DATABASE from the user's view: the published cases of its statements, by number, on SQLite and a directory.

const microseconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** A desk whose object store is a directory. */
function openDatabaseDesk(env: Record<string, string> = {}, schema = casesSchema) {
  const desk = openDesk(schema, {BKP_STORE: 'fs::root=./store', ...env});
  const json = async (statement: string, ...flags: string[]) => {
    const {stdout, stderr, status} = await desk.bkp(...flags, 'sql', '--format', 'json', statement);
    if (status !== 0) throw new Error(`${statement} ended with ${status}: ${stderr}`);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return {desk, json};
}

/** Takes a backup and returns its timestamp. */
async function backUp(desk: Desk): Promise<string> {
  const out = await desk.sqlWait('BACKUP DATABASE');
  return out.trim().split('\n').at(-1)!.trim();
}

const rowsOf = (desk: Desk, file = desk.database) => desk.all('SELECT * FROM orders ORDER BY id', file);

test('QS01-QS05: the first backup has a row and a name, and there is nothing to abort', async () => {
  const {desk, json} = openDatabaseDesk();
  expect(await json('SELECT backup_instance_name')).toEqual([{backup_instance_name: null}]);
  const started = await json('BACKUP DATABASE;');
  expect(started).toEqual([{backup_timestamp: expect.stringMatching(microseconds)}]);
  await desk.bkp('operation', 'wait', 'last');
  expect(await json('SELECT status, progress_percent FROM backups() ORDER BY start_ts DESC LIMIT 1')).toEqual([
    {status: 'backup complete', progress_percent: 100},
  ]);
  const [named] = await json('SELECT backup_instance_name');
  expect(named!.backup_instance_name).toMatch(/^[a-z]+-[a-z]+-[a-z]+$/);
  await backUp(desk);
  expect(await json('SELECT backup_instance_name')).toEqual([named]);
  expect(await json('BACKUP ABORT;')).toEqual([{status: 'not running', backup_id: null}]);
});

test('QS06, QS07: a second backup is refused while one runs, and an aborted one leaves no backup', async () => {
  // Pages of random bytes, uploaded no faster than this limit.
  const big =
    'CREATE TABLE big (id INTEGER PRIMARY KEY, bytes BLOB); INSERT INTO big (bytes) VALUES (randomblob(4000000));';
  const {startFakeS3} = await import('../helpers/fake-s3.ts');
  const server = await startFakeS3();
  const store =
    `s3::bucket=${server.bucket};region=us-east-1;endpoint=${server.endpoint};access_key_id=a;` +
    'secret_access_key=b;';
  const {desk, json} = openDatabaseDesk({BKP_STORE: store, BKP_BACKUP_LIMIT_UPLOAD: '100KB'}, big);
  try {
    const [started] = await json('BACKUP DATABASE');
    const second = await desk.refused('BACKUP DATABASE');
    expect(second.status).toBe(11);
    expect(second.stderr).toContain('BACKUP ABORT');
    expect(await json('BACKUP ABORT')).toEqual([{status: 'aborted', backup_id: started!.backup_timestamp}]);
    await desk.bkp('operation', 'wait', 'last');
    expect(await json('SELECT status FROM backups()')).toEqual([{status: 'backup failed'}]);
  } finally {
    await server.close();
  }
});

test('QS08, QS09: when backups are switched off or no store is set, the error names the setting', async () => {
  const {desk} = openDatabaseDesk({BKP_BACKUP_ENABLED: 'false'});
  expect((await desk.refused('BACKUP DATABASE;')).stderr).toContain('backup.enabled');
  expect((await openDesk().refused('BACKUP DATABASE;')).stderr).toContain('backup.object.store');
});

test('QS10, QS11: each timestamp is restored, and only the newest n backups are kept', async () => {
  const {desk, json} = openDatabaseDesk({BKP_BACKUP_CLEANUP_KEEP_LATEST_N: '2'});
  const moments: {timestamp: string; rows: unknown}[] = [];
  for (let number = 1; number <= 4; number++) {
    desk.exec(`UPDATE orders SET number = ${number} WHERE id = 1`);
    moments.push({timestamp: await backUp(desk), rows: rowsOf(desk)});
  }
  const restoreAt = (timestamp: string, into: string) =>
    desk.bkp('sql', '--wait', `RESTORE DATABASE TO TIMESTAMP '${timestamp}' INTO '${into}'`);
  const gone = await restoreAt(moments[0]!.timestamp, 'first.db');
  expect(gone.status).toBe(10);
  expect(gone.stderr).toContain('No backup timestamp found that is <=');
  for (const {timestamp, rows} of moments.slice(2)) {
    const file = `at-${timestamp}.db`;
    expect((await restoreAt(timestamp, file)).status).toBe(0);
    expect(rowsOf(desk, join(desk.folder, file))).toEqual(rows);
  }
  // One microsecond before the newest backup means the previous backup.
  const earlier = moments[3]!.timestamp.replace(
    /(\d{6})Z$/,
    (_, micros) => `${String(Number(micros) - 1).padStart(6, '0')}Z`,
  );
  if (!moments[3]!.timestamp.endsWith('000000Z')) {
    expect((await restoreAt(earlier, 'earlier.db')).status).toBe(0);
    expect(rowsOf(desk, join(desk.folder, 'earlier.db'))).toEqual(moments[2]!.rows);
  }
  expect(await json('SELECT status FROM backups() LIMIT -1')).toEqual([{status: 'cleanup complete'}]);
});

test('QS12: a target with data is refused and unchanged, and the dry run reports that', async () => {
  const {desk} = openDatabaseDesk();
  await backUp(desk);
  const before = readFileSync(desk.database);
  const refused = await desk.refused(`RESTORE DATABASE INTO '${desk.database}'`);
  expect(refused.stderr).toContain('The local database is not empty.');
  expect(readFileSync(desk.database).equals(before)).toBe(true);
  const dry = await desk.bkp('restore', '--root', desk.database, '--dry-run', '--format', 'json');
  expect(dry.status).toBe(12);
  expect(JSON.parse(dry.stdout)).toMatchObject({in_the_way: 'The local database is not empty.'});
  const free = await desk.bkp('restore', '--root', 'new.db', '--dry-run', '--format', 'json');
  expect(free.status).toBe(0);
  expect(JSON.parse(free.stdout)).toMatchObject({files: 1, in_the_way: null});
  expect(existsSync(join(desk.folder, 'new.db'))).toBe(false);
});

test('QS13: VERIFY names the file with a flipped byte, and none of it is restored', async () => {
  const {desk} = openDatabaseDesk();
  await backUp(desk);
  const {readdirSync} = await import('node:fs');
  const store = join(desk.folder, 'store');
  const pack = readdirSync(store, {recursive: true, encoding: 'utf8'}).find((name) => /^packs\/..\/.{64}$/.test(name))!;
  const bytes = readFileSync(join(store, pack));
  bytes[100]! ^= 1;
  writeFileSync(join(store, pack), bytes);
  expect((await desk.refused('VERIFY DATABASE')).status).toBe(13);
  const failed = await desk.refused("RESTORE DATABASE INTO 'new.db'");
  expect(failed.status).toBe(13);
  expect(failed.stderr).toContain('hash mismatch [path=');
  expect(existsSync(join(desk.folder, 'new.db'))).toBe(false);
});

test('a machine that has only the store lists its history, and restores as _backup_restore says', async () => {
  const {desk} = openDatabaseDesk();
  await backUp(desk);
  const store = `fs::root=${join(desk.folder, 'store')}`;
  const other = (args: string[], env = {}) => runBkp(args, {home: join(desk.folder, 'other'), cwd: desk.folder, env});
  const checked = await other(['--store', store, 'store', 'check']);
  expect(checked.stdout).toContain('0 collections, 1 database, 1 backup');
  const history = await other(['--store', store, 'sql', '--format', 'json', 'SELECT status FROM backups()']);
  expect(history.stdout).toBe('{"status":"backup complete"}\n');
  const {mkdirSync} = await import('node:fs');
  mkdirSync(join(desk.folder, 'root'));
  writeFileSync(join(desk.folder, 'root/_backup_restore'), `# wanted\nbackup.object.store=${store}\n`);
  const planned = await other(['restore', '--root', 'root', '--dry-run', '--format', 'json']);
  expect(JSON.parse(planned.stdout)).toMatchObject({product: expect.stringContaining('sqlite')});
  writeFileSync(join(desk.folder, 'root/_backup_restore'), 'backup.instance.nam=x\n');
  expect((await other(['restore', '--root', 'root', '--dry-run'])).stderr).toContain(
    'did you mean backup.instance.name?',
  );
});

test('no new vault is created in a store that is empty now and was not before, such as an unmounted disk', async () => {
  const {desk} = openDatabaseDesk();
  await backUp(desk);
  desk.remove('store');
  const refused = await desk.refused('BACKUP DATABASE');
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('is its disk mounted?');
  expect(desk.has('store')).toBe(false);
});
