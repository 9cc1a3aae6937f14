import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type Journal, type OperationNumber, spawnWorker, waitFor} from '../../../src/ops/index.ts';
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
  expect(readFileSync(logFile, 'utf8')).toMatch(/a line on standard output\n.* cwd \/\n/);
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
  await spawnWorker({journal, operation, entry, args: [], env: {}});
  const {state, logFile} = await waitFor(journal, operation.number, {timeoutMs: 60_000});
  expect(state).toMatchObject({outcome: {status: 'ERROR', error: {code: 'WORKER_DEAD'}}});
  expect(readFileSync(logFile, 'utf8')).toContain('SyntaxError');
});

test.each([
  ['the folder to work in is not there', {cwd: '/no/such/folder'}, () => {}],
  ['the log cannot be written', {}, () => mkdirSync(join(home.logsDir, 'fullbackup-1.log'), {recursive: true})],
])('when %s, the operation ends with the reason, and so does the call', async (_, options, spoil) => {
  spoil();
  const operation = await journal.create(newOperation());
  await expect(
    spawnWorker({journal, operation, entry: 'worker.js', args: [], env: {}, ...options}),
  ).rejects.toMatchObject({code: 'WORKER_DEAD', message: 'no worker could be started for fullbackup/1'});
  expect((await journal.get(operation.number)).state).toMatchObject({
    outcome: {
      status: 'ERROR',
      error: {code: 'WORKER_DEAD', cause: expect.stringMatching(/ENOENT|is a folder, not a file/)},
    },
  });
  await journal.create(newOperation());
});
