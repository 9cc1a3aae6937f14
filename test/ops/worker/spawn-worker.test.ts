import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type Journal, type OperationNumber, spawnWorker, WaitingWorker, waitFor} from '../../../src/ops/index.ts';
import {makeHome, newOperation, type TestHome} from '../home.ts';

let home: TestHome;
let journal: Journal;

beforeEach(() => {
  home = makeHome();
  home.clock.nowMicros = Date.now() * 1000;
  journal = home.open();
});
afterEach(() => home.remove());

const starter = join(import.meta.dirname, '..', 'children', 'starter.ts');
const first = 1 as OperationNumber;

test('the worker outlives the process that started it, and keeps none of its files open', async () => {
  const args = [starter, home.file, home.logsDir, 'until-released'];
  // The fourth descriptor imitates one that a shell passes down by accident.
  const parent = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'pipe', 'pipe'], cwd: home.dir});
  const [out, err, extra] = await Promise.all([
    text(parent.stdout!),
    text(parent.stderr!),
    text(parent.stdio[3] as NodeJS.ReadableStream),
  ]);
  // All three streams ended while the worker still runs: it waits for this file.
  expect((await journal.get(first)).state.name).not.toBe('done');
  writeFileSync(`${home.file}.released`, '');
  expect([out, err, extra]).toEqual(['started\n', '', '']);

  const {state, logFile} = await waitFor(journal, first, {timeoutMs: 60_000});
  expect(state).toMatchObject({outcome: {status: 'SUCCESS', result: {backup: 'shop/1_full'}}});
  expect(readFileSync(logFile, 'utf8')).toMatch(
    /^loaded, with until-released\n(.*\n)*a line on standard output\n.* cwd \/\n/,
  );
  expect(readdirSync(home.logsDir)).toEqual(['fullbackup-1.log']);
  expect(statSync(logFile).mode & 0o777).toBe(0o600);
  expect(statSync(home.logsDir).mode & 0o777).toBe(0o700);
});

test.skipIf(process.platform === 'win32')(
  'the worker has a session of its own, so no terminal takes it along',
  async () => {
    const parent = spawn(process.execPath, [starter, home.file, home.logsDir, 'forever'], {stdio: 'ignore'});
    await once(parent, 'exit');
    await expect.poll(async () => (await journal.get(first)).progress.phase).toBe('Forever');
    const {state} = await journal.get(first);
    if (state.name !== 'running') throw new Error(state.name);
    const session = execFileSync('ps', ['-o', 'sess=', '-p', String(state.workerPid)], {encoding: 'utf8'}).trim();
    expect(Number(session)).toBe(state.workerPid);

    process.kill(state.workerPid, 'SIGHUP');
    process.kill(state.workerPid, 'SIGTERM');
    const ended = await waitFor(journal, first, {timeoutMs: 60_000});
    expect(ended.state).toMatchObject({outcome: {status: 'CANCELLED'}});
  },
);

test('a worker that fails to load is noticed immediately, and its log has the reason', async () => {
  const operation = await journal.create(newOperation());
  const entry = join(home.dir, 'broken.js');
  writeFileSync(entry, 'this is no JavaScript');
  await spawnWorker({journal, operation, worker: () => WaitingWorker.start({...options(), entry}), input: '1'});
  const {state, logFile} = await waitFor(journal, operation.number, {timeoutMs: 60_000});
  expect(state).toMatchObject({outcome: {status: 'ERROR', error: {code: 'WORKER_DEAD'}}});
  expect(readFileSync(logFile, 'utf8')).toContain('SyntaxError');
});

test.each([
  ['the folder to work in is not there', {cwd: '/no/such/folder'}, () => {}],
  ['the log cannot be written', {}, () => mkdirSync(join(home.logsDir, 'fullbackup-1.log'), {recursive: true})],
  ['the folder of logs is a file', {}, () => writeFileSync(home.logsDir, '')],
])('when %s, the operation ends with the reason, and so does the call', async (_, changed, spoil) => {
  spoil();
  const operation = await journal.create(newOperation());
  const worker = () => WaitingWorker.start({...options(), ...changed});
  await expect(spawnWorker({journal, operation, worker, input: '1'})).rejects.toMatchObject({
    code: 'WORKER_DEAD',
    message: 'no worker could be started for fullbackup/1',
  });
  expect((await journal.get(operation.number)).state).toMatchObject({
    outcome: {
      status: 'ERROR',
      error: {code: 'WORKER_DEAD', cause: expect.stringMatching(/ENOENT|EEXIST|ENOTDIR|is a folder, not a file/)},
    },
  });
  expect(waitingLogs()).toEqual([]);
  await journal.create(newOperation());
});

test('a worker that is dismissed ends, and its log is removed', async () => {
  const worker = await WaitingWorker.start(options());
  expect(waitingLogs()).toHaveLength(1);
  worker.dismiss();
  expect(waitingLogs()).toEqual([]);
  await expect.poll(() => isAlive(worker.pid)).toBe(false);
});

test('a worker ends when the process that started it was killed before it had an operation', async () => {
  const parent = spawn(process.execPath, [join(import.meta.dirname, '..', 'children', 'undecided.ts'), home.logsDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [pid] = await once(parent.stdout!, 'data');
  expect(isAlive(Number(pid))).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(() => isAlive(Number(pid)), {timeout: 60_000}).toBe(false);
  expect(waitingLogs()).toEqual([]);
});

test('the log of a worker that was killed together with its starter is removed a day later', async () => {
  mkdirSync(home.logsDir);
  const [old, young] = ['worker-old.log', 'worker-young.log'].map((name) => join(home.logsDir, name));
  for (const file of [old!, young!]) writeFileSync(file, '');
  const dayAgo = Date.now() / 1000 - 25 * 3600;
  utimesSync(old!, dayAgo, dayAgo);
  const operation = await journal.create(newOperation());
  await spawnWorker({journal, operation, worker: () => WaitingWorker.start(options()), input: '1'});
  await expect.poll(async () => (await journal.get(first)).progress.phase).toBe('Forever');
  expect(waitingLogs()).toEqual(['worker-young.log']);
  await journal.requestCancel(first);
  await waitFor(journal, first, {timeoutMs: 60_000});
});

test('a worker that has an operation cannot be dismissed any more', async () => {
  const operation = await journal.create(newOperation());
  const worker = await WaitingWorker.start({...options(), args: [home.file, home.logsDir, 'until-released']});
  await spawnWorker({journal, operation, worker: async () => worker, input: '1'});
  worker.dismiss();
  writeFileSync(`${home.file}.released`, '');
  const {state} = await waitFor(journal, operation.number, {timeoutMs: 60_000});
  expect(state).toMatchObject({outcome: {status: 'SUCCESS'}});
});

const options = () => ({
  entry: join(import.meta.dirname, '..', 'children', 'worker.ts'),
  args: [home.file, home.logsDir, 'forever'],
  env: process.env,
  cwd: '/',
  logsDir: home.logsDir,
});

const waitingLogs = () => {
  const found = statSync(home.logsDir, {throwIfNoEntry: false});
  return found?.isDirectory() ? readdirSync(home.logsDir).filter((name) => name.startsWith('worker-')) : [];
};

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0] !== 'Z';
  } catch {
    return false;
  }
}
