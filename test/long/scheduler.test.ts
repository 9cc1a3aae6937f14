import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection} from '../../src/collections/index.ts';
import type {Setting} from '../../src/sql/index.ts';
import {bareEnv, bkpFile} from '../helpers/bkp.ts';
import {backupsOf, type Desk, openDesk} from '../helpers/desk.ts';
import {whileHeld} from '../helpers/held-worker.ts';
import {inProcess} from '../helpers/in-process.ts';
import {slowSchema} from '../helpers/slow-schema.ts';

// The process only: its decisions are tested elsewhere with a simulated clock.

const nightly: readonly Setting[] = [{key: 'SCHEDULE', value: '0 2 * * *'}];

/** A collection that was created two days ago, so that a nightly run was missed. */
function createLongAgo(desk: Desk, tables: readonly string[], settings = nightly): Promise<unknown> {
  const nowMicros = () => (Date.now() - 2 * 86_400_000) * 1000;
  return inProcess(desk).vault((vault) =>
    createCollection(
      {vault, nowMicros, randomId: () => 'c'.repeat(32)},
      {
        name: 'c',
        members: {kind: 'tables', tables},
        settings,
        ifNotExists: false,
      },
    ),
  );
}

type Running = {process: ChildProcess; text: () => string; seen: (what: string | RegExp) => Promise<void>};

function startScheduler(desk: Desk, ...args: string[]): Running {
  const process = spawn(globalThis.process.execPath, [bkpFile, 'scheduler', ...args], {
    cwd: desk.folder,
    env: bareEnv({home: desk.home, env: {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster}}),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void process.kill('SIGKILL'));
  let text = '';
  for (const stream of [process.stdout, process.stderr])
    stream.setEncoding('utf8').on('data', (part) => (text += part));
  const isThere = (what: string | RegExp) => (typeof what === 'string' ? text.includes(what) : what.test(text));
  return {
    process,
    text: () => text,
    seen: async (what) => {
      while (!isThere(what)) {
        if (process.exitCode !== null) throw new Error(`the scheduler ended without saying ${what}:\n${text}`);
        await Promise.race([once(process.stdout, 'data'), once(process.stderr, 'data'), once(process, 'exit')]);
      }
    },
  };
}

test('--once starts what is due, and a second run starts nothing', async () => {
  const desk = openDesk();
  await createLongAgo(desk, ['orders']);
  const first = await desk.bkp('scheduler', '--once');
  expect(first).toMatchObject({status: 0, stderr: ''});
  expect(first.stdout).toMatch(/^\S+Z c: the run of .*T02:00:00Z was missed .*\n.*Z c: fullbackup\/1 started\n$/);
  expect((await desk.bkp('operation', 'wait', 'fullbackup/1')).status).toBe(0);
  expect(await desk.bkp('scheduler', '--once')).toMatchObject({status: 0, stdout: '', stderr: ''});
  expect(await backupsOf(desk)).toHaveLength(1);
});

test('--once reports to a timer what it could not start', async () => {
  const desk = openDesk();
  await createLongAgo(desk, ['absent']);
  const {status, stdout} = await desk.bkp('scheduler', '--once');
  expect(status).toBe(1);
  expect(stdout).toMatch(/was refused: table \/Root\/absent does not exist/);
});

test('SIGHUP re-reads the schedules; SIGTERM ends the scheduler immediately, and the worker continues', async () => {
  const desk = openDesk(slowSchema);
  const scheduler = startScheduler(desk);
  await scheduler.seen('nothing is scheduled');
  await createLongAgo(desk, ['big']);
  const readAnew = () => {
    scheduler.process.kill('SIGHUP');
    return scheduler.seen('c: fullbackup/1 started\n');
  };
  await whileHeld(desk, {give: readAnew}, async () => {
    expect(scheduler.text()).toMatch(/SIGHUP: settings and schedules are reloaded\n.*schedules: c\n.*was missed/);
    scheduler.process.kill('SIGTERM');
    const [status] = await once(scheduler.process, 'close');
    expect(status).toBe(0);
    expect(scheduler.text()).toMatch(/ended; fullbackup\/1 continues\n$/);
  });
  expect((await desk.bkp('operation', 'wait', 'fullbackup/1')).status).toBe(0);
  expect(await backupsOf(desk)).toHaveLength(1);
});

test('settings that become invalid leave the last valid ones in force; at the start they are an error', async () => {
  const desk = openDesk();
  await createLongAgo(desk, ['orders']);
  const scheduler = startScheduler(desk);
  await scheduler.seen('fullbackup/1 ended: SUCCESS\n');
  writeFileSync(join(desk.home, 'config.json'), '{');
  scheduler.process.kill('SIGHUP');
  await scheduler.seen('the known schedules stay: ');
  scheduler.process.kill('SIGTERM');
  expect((await once(scheduler.process, 'close'))[0]).toBe(0);
  expect((await desk.bkp('scheduler', '--once')).status).not.toBe(0);
});

test('with backup.schedule.cron, --once backs up the database, and a second run finds nothing due', async () => {
  const desk = openDesk(undefined, {BKP_STORE: 'fs::root=./store'});
  expect((await desk.bkp('config', 'set', 'backup.schedule.cron', '0 0 1 1 *')).status).toBe(0);
  const first = await desk.bkp('scheduler', '--once');
  expect(first).toMatchObject({status: 0, stderr: ''});
  expect(first.stdout).toMatch(/Z database sqlite::path=\S+app\.db: dbbackup\/1 started\n$/);
  expect((await desk.bkp('operation', 'wait', 'dbbackup/1')).status).toBe(0);
  expect(await desk.bkp('scheduler', '--once')).toMatchObject({status: 0, stdout: '', stderr: ''});
  expect(await desk.sql('SELECT status FROM backups()')).toContain('backup complete');
});

/** Damages each pack, or mends it again. */
function flipPacks(desk: Desk): void {
  for (const key of desk.storedKeys().filter((stored) => stored.startsWith('packs/'))) {
    const file = join(desk.cluster, key);
    const bytes = readFileSync(file);
    bytes[10]! ^= 1;
    chmodSync(file, 0o600);
    writeFileSync(file, bytes);
  }
}

async function metricOf(desk: Desk, name: string): Promise<string | undefined> {
  return RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec((await desk.bkp('metrics')).stdout)?.[1];
}

test('a scheduled drill that fails is told by its notification, its exit status, the metrics and doctor', async () => {
  const told = 'told.json';
  // Commands run in the home.
  const desk = openDesk(undefined, {BKP_NOTIFY_ON_FAILURE: `cat > ${told}`});
  await createLongAgo(desk, ['orders'], [{key: 'SCHEDULE_DRILL', value: '0 5 * * *'}]);
  await desk.sqlWait('BACKUP c');
  const drill = async () => {
    expect(await desk.bkp('scheduler', '--once')).toMatchObject({status: 0, stderr: ''});
    const {stdout} = await desk.bkp('operation', 'list', 'verify', '--format', 'json');
    const [{id, statement}] = JSON.parse(stdout).operations;
    expect(statement).toBe("VERIFY `c` WITH (LEVEL='restore')");
    return desk.bkp('operation', 'wait', id);
  };
  const metric = (name: string) => metricOf(desk, name);
  const doctor = async () => (await desk.bkp('doctor')).stdout;

  flipPacks(desk);
  expect((await drill()).status).toBe(1);
  expect(JSON.parse(readFileSync(join(desk.home, told), 'utf8'))).toMatchObject({
    status: 'ERROR',
    issues: expect.arrayContaining([expect.objectContaining({code: 'DAMAGE_FOUND'})]),
  });
  expect(await metric('bkp_collection_last_drill_passed')).toBe('0');
  expect(await metric('bkp_collection_newest_drill_timestamp_seconds')).toBeUndefined();
  expect(await doctor()).toMatch(/the last drill of collection c failed \(verify\/\d+\): the drill of c\/\S+ failed/);
  expect((await desk.bkp('doctor')).status).toBe(1);
  // A VERIFY that passes does not hide it.
  flipPacks(desk);
  await desk.sqlWait('VERIFY c');
  expect(await doctor()).toMatch(/the last drill of collection c failed/);
  await desk.sqlWait("VERIFY c WITH (LEVEL='restore')");
  expect(await metric('bkp_collection_last_drill_passed')).toBe('1');
  expect(await doctor()).not.toMatch(/drill of collection c failed/);
});

test('a scheduled verification that finds damage is told by operation, notification, metrics and doctor', async () => {
  const told = 'told.json';
  const desk = openDesk(undefined, {BKP_NOTIFY_ON_FAILURE: `cat > ${told}`});
  await createLongAgo(desk, ['orders'], [{key: 'SCHEDULE_VERIFY', value: '0 5 * * *'}]);
  await desk.sqlWait('BACKUP c');
  const metric = (name: string) => metricOf(desk, name);
  flipPacks(desk);
  expect(await metric('bkp_collection_unreadable_backups')).toBe('0');
  expect(await desk.bkp('scheduler', '--once')).toMatchObject({status: 0, stderr: ''});
  const {stdout} = await desk.bkp('operation', 'list', 'verify', '--format', 'json');
  const [{id, statement}] = JSON.parse(stdout).operations;
  expect(statement).toContain('VERIFY `c`');
  expect((await desk.bkp('operation', 'wait', id)).status).not.toBe(0);
  const {stdout: got} = await desk.bkp('operation', 'get', id, '--format', 'json');
  const [summary, fault] = JSON.parse(got).issues;
  expect(summary).toMatchObject({code: 'DAMAGE_FOUND', message: 'c: 1 fault found'});
  expect(fault.message).toMatch(/^orders of c\/\d{14}Z_full: packs\/\S+ is damaged/);
  expect(JSON.parse(readFileSync(join(desk.home, told), 'utf8'))).toMatchObject({status: 'ERROR'});
  expect(await metric('bkp_collection_unreadable_backups')).toBe('1');
  expect(await metric('bkp_collection_newest_verified_backup_timestamp_seconds')).toBeUndefined();
  const doctor = await desk.bkp('doctor');
  expect(doctor.status).toBe(1);
  expect(doctor.stdout).toMatch(/the last verification of collection c failed/);
  // What is whole again is told to be so by the next one.
  flipPacks(desk);
  await desk.sqlWait("VERIFY c WITH (LEVEL='data')");
  expect(await metric('bkp_collection_unreadable_backups')).toBe('0');
  expect(await metric('bkp_collection_newest_verified_backup_timestamp_seconds')).toBeDefined();
  expect(await desk.bkp('doctor')).toMatchObject({status: 0});
});
