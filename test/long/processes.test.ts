import {spawn} from 'node:child_process';
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {spawn as openTerminal} from '@lydell/node-pty';
import {expect, test} from 'vitest';
import {bareEnv, bkpFile, runBkp} from '../helpers/bkp.ts';
import {backupsOf, type Desk, openDesk} from '../helpers/desk.ts';
import {eventually} from '../helpers/eventually.ts';
import {meet, operationRows, whileHeld} from '../helpers/held-worker.ts';
import {slowSchema} from '../helpers/slow-schema.ts';

// What happens to the work when processes, terminals or neighbours misbehave.

const createBig = "CREATE BACKUP COLLECTION c (TABLE big) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')";

const started = (desk: Desk, args: readonly string[]) =>
  spawn(process.execPath, [bkpFile, ...args], {
    cwd: desk.folder,
    env: bareEnv({home: desk.home, env: {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster}}),
    stdio: ['ignore', 'pipe', 'pipe'],
  });

/** Another machine from bkp's view: a separate home with the same cluster and source. */
function secondHome(desk: Desk): {home: string; bkp: Desk['bkp']} {
  const home = join(desk.folder, 'home2');
  const env = {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster};
  return {home, bkp: (...args) => runBkp(args, {home, env, cwd: desk.folder})};
}

test('after a worker is killed, its leftovers are removed, and the next statement works', async () => {
  const desk = openDesk(slowSchema);
  await desk.sql(createBig);
  const kill = async (pid: number) => process.kill(pid, 'SIGKILL');
  await whileHeld(desk, {give: () => desk.sql('BACKUP c'), at: 'moving'}, kill);
  const ended = await desk.bkp('operation', 'wait', 'last', '--format', 'proto-json-base64');
  expect(ended.status).toBe(1);
  expect(JSON.parse(ended.stdout)).toMatchObject({
    ready: true,
    status: 'ABORTED',
    issues: [{message: expect.stringMatching(/was interrupted/)}],
  });
  expect(await backupsOf(desk)).toEqual([]);
  await desk.sqlWait('BACKUP c');

  const target = join(desk.folder, 'new.db');
  const restore = async () => expect(await desk.bkp('--source', target, 'sql', 'RESTORE c')).toMatchObject({status: 0});
  await whileHeld(desk, {give: restore, at: 'moving'}, kill);
  const left = () => readdirSync(desk.folder).filter((name) => name.includes('new.db'));
  expect(left()).not.toEqual([]);
  // On a busy machine a killed process disappears late; until then its worker does not count as dead.
  const got = async () => JSON.parse((await desk.bkp('operation', 'get', 'last', '--format', 'json')).stdout);
  while ((await got()).status === 'PROGRESS') await sleep(100);
  expect(await got()).toMatchObject({status: 'ERROR', issues: [{code: 'WORKER_DEAD'}]});
  expect(left()).toEqual([]);
  expect(await desk.bkp('--source', target, 'sql', '--wait', 'RESTORE c')).toMatchObject({status: 0});
  expect(desk.column('SELECT count(*) FROM big', target)).toEqual([100]);
});

test('if two shells give the same statement concurrently, one succeeds', async () => {
  const desk = openDesk(slowSchema);
  await desk.sql(createBig);
  // The first worker is held, so that the second statement cannot arrive after its end.
  const both = Promise.all([desk.bkp('sql', 'BACKUP c'), desk.bkp('sql', 'BACKUP c')]);
  const results = await whileHeld(desk, {give: () => both}, () => both);
  expect(results.map(({status}) => status).sort()).toEqual([0, 11]);
  const refused = results.find(({status}) => status === 11)!;
  expect(refused).toMatchObject({
    stdout: '',
    stderr: expect.stringMatching(/fullbackup\/\d+(.|\n)*next: {2}bkp operation/),
  });
  expect(await desk.bkp('operation', 'wait', 'last')).toMatchObject({status: 0});
  expect(operationRows(desk.home)).toHaveLength(1);
});

test('two machines on one cluster share one chain, and a cleanup waits for writers', async () => {
  const desk = openDesk(slowSchema);
  const other = secondHome(desk);
  await desk.sql(createBig);
  desk.exec('CREATE TABLE small (id INTEGER PRIMARY KEY)');
  await desk.sql("CREATE BACKUP COLLECTION d (TABLE small) WITH (STORAGE='cluster')");
  await desk.sqlWait('BACKUP d');
  const dropped = await whileHeld(desk, {give: () => desk.sql('BACKUP c'), at: 'moving'}, async () => {
    const second = await other.bkp('sql', '--wait', 'BACKUP c');
    expect(second.status).toBe(11);
    expect(second.stderr).toMatch(/locked by operation fullbackup\/\d+ \(process \d+ on .*OVERLOADED/);
    // The collection that is being backed up cannot be dropped; another one can.
    expect(await other.bkp('sql', '--wait', 'DROP BACKUP COLLECTION c')).toMatchObject({status: 11});
    const waiting = other.bkp('sql', '--wait', 'DROP BACKUP COLLECTION d');
    const newest = () => operationRows(other.home).at(-1)!;
    await meet(other.home, newest().number);
    await sleep(300);
    // Its space is not freed before the running backup ends.
    expect(newest().state).toBe('running');
    return {end: () => waiting};
  });
  expect(await dropped.end()).toMatchObject({status: 0});
  expect(await desk.bkp('operation', 'wait', 'last')).toMatchObject({status: 0});
  expect(await desk.bkp('sql', '--wait', 'VERIFY c')).toMatchObject({status: 0});

  // Alternating increments continue one chain: each home sees the other one's backups.
  for (const bkp of [other.bkp, desk.bkp, other.bkp]) {
    desk.exec('UPDATE big SET note = ifnull(note, 0) + 1 WHERE id % 10 = 0');
    expect(await bkp('sql', '--wait', 'BACKUP c INCREMENTAL')).toMatchObject({status: 0});
  }
  const target = join(desk.folder, 'new.db');
  expect(await other.bkp('--source', target, 'sql', '--wait', 'RESTORE c')).toMatchObject({status: 0});
  expect(desk.column('SELECT DISTINCT note FROM big WHERE id % 10 = 0', target)).toEqual([3]);
});

test('Ctrl-C during --wait does not affect the work, and prints how to watch or cancel it', async () => {
  const desk = openDesk(slowSchema);
  await desk.sql(createBig);
  const waiting = started(desk, ['sql', '--wait', 'BACKUP c']);
  let stderr = '';
  waiting.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  const closed = new Promise((resolve) => waiting.on('close', resolve));
  const isTold = () => eventually(() => expect(stderr).toContain('fullbackup/1'));
  await whileHeld(desk, {give: isTold}, async () => {
    waiting.kill('SIGINT');
    expect(await closed).toBe(130);
  });
  expect(stderr).toMatch(/bkp operation watch fullbackup\/1/);
  expect(stderr).toMatch(/bkp operation cancel fullbackup\/1/);
  expect(await desk.bkp('operation', 'wait', '1')).toMatchObject({status: 0});
  expect(await backupsOf(desk)).toHaveLength(1);
});

test('a pipe ends with the statement, and closing the terminal does not end the work', async () => {
  const desk = openDesk(slowSchema);
  await desk.sql(createBig);
  // Held, the work cannot end before the statement. The pipe ends when the last process has closed it.
  const pipe = async () => {
    const piped = started(desk, ['sql', 'BACKUP c']);
    await Promise.all(
      [piped.stdout!, piped.stderr!].map((stream) => new Promise((resolve) => stream.on('end', resolve).resume())),
    );
  };
  await whileHeld(desk, {give: pipe}, async () => {
    expect(operationRows(desk.home).at(-1)!.state).not.toBe('done');
  });
  expect(await desk.bkp('operation', 'wait', 'last')).toMatchObject({status: 0});

  const terminal = openTerminal(process.execPath, [bkpFile, 'sql', '--wait', 'BACKUP c'], {
    cwd: desk.folder,
    env: bareEnv({home: desk.home, env: {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster}}),
  });
  const gone = new Promise((resolve) => terminal.onExit(resolve));
  await meet(desk.home, 1);
  terminal.kill('SIGHUP');
  await gone;
  expect(await desk.bkp('operation', 'wait', '2')).toMatchObject({status: 0});
  expect(await backupsOf(desk)).toHaveLength(2);
});
