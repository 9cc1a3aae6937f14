import {renameSync, truncateSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {type Fate, systemProcesses} from '../../../src/lib/processes.ts';
import {type Journal, type Operation, waitFor} from '../../../src/ops/index.ts';
import {eventually} from '../../helpers/eventually.ts';
import {makeHome, newOperation, type TestHome} from '../home.ts';

let home: TestHome;
let journal: Journal;
let operation: Operation;

beforeEach(async () => {
  home = makeHome();
  journal = home.open();
  operation = await journal.create(newOperation());
});
afterEach(() => home.remove());

test('it ends when the operation is done, and reports every change once', async () => {
  const seen: string[] = [];
  const isTold = (text: string) => eventually(() => expect(seen.at(-1)).toBe(text));
  const done = waitFor(journal, operation.number, {
    pollMs: 10,
    onChange: ({state, progress}) => seen.push(`${state.name} ${progress.phase}`),
  });
  const other = home.open();
  await isTold('queued Preparing');
  await other.claim(operation.number);
  await isTold('running Preparing');
  await other.report(operation.number, {phase: 'TransferData', bytesDone: 1, itemsDone: 0});
  await isTold('running TransferData');
  // Nothing changes for some polls, and nothing is reported.
  await sleep(50);
  await other.finish(operation.number, {status: 'SUCCESS', result: {}});
  expect(await done).toEqual(await journal.get(operation.number));
  expect(seen).toEqual(['queued Preparing', 'running Preparing', 'running TransferData', 'done TransferData']);
});

test('it returns at once for what is done', async () => {
  await journal.requestCancel(operation.number);
  expect((await waitFor(journal, operation.number)).state).toMatchObject({outcome: {status: 'CANCELLED'}});
});

test('it does not wait for the dead', async () => {
  let fate: Fate = 'alive';
  const watcher = home.open({...systemProcesses, fateOf: () => fate});
  await journal.claim(operation.number);
  const done = waitFor(watcher, operation.number, {pollMs: 20});
  await sleep(50);
  fate = 'gone';
  expect((await done).state).toMatchObject({outcome: {status: 'ERROR', error: {code: 'WORKER_DEAD'}}});
});

test('waiting fails with TIMEOUT after the given time, and the operation continues', async () => {
  await expect(waitFor(journal, operation.number, {timeoutMs: 50, pollMs: 20})).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringContaining('fullbackup/1 is not done after 0.05 s; the work continues'),
    next: expect.stringContaining('bkp operation cancel fullbackup/1'),
  });
  expect((await journal.get(operation.number)).state.name).toBe('queued');
});

test('it stops on its signal, and the operation continues', async () => {
  const interrupt = new AbortController();
  const waiting = waitFor(journal, operation.number, {signal: interrupt.signal});
  setTimeout(() => interrupt.abort(), 20);
  await expect(waiting).rejects.toMatchObject({code: 'INTERRUPTED', exitStatus: 130});
  expect((await journal.get(operation.number)).state.name).toBe('queued');
});

test('waiting fails with OPERATION_NOT_FOUND when the operation is forgotten meanwhile', async () => {
  const onChange = vi.fn();
  const waiting = expect(waitFor(journal, operation.number, {pollMs: 500, onChange})).rejects.toMatchObject({
    code: 'OPERATION_NOT_FOUND',
  });
  await vi.waitUntil(() => onChange.mock.calls.length > 0);
  await journal.requestCancel(operation.number);
  await journal.forget(operation.number);
  await waiting;
});

test('it ends when the journal was cut off, and a worker that opens it gives up', async () => {
  const waiting = waitFor(journal, operation.number, {pollMs: 10, timeoutMs: 20_000});
  truncateSync(home.file, 0);
  const message = expect.stringContaining('was cut off');
  const ended = expect(waiting).rejects.toMatchObject({code: 'JOURNAL_UNAVAILABLE', message});
  const startedAtMs = performance.now();
  expect(() => home.open()).toThrow('cannot be used');
  expect(performance.now() - startedAtMs).toBeLessThan(60_000);
  await ended;
});

test('it waits on for an operation whose journal was moved away', async () => {
  const waiting = waitFor(journal, operation.number, {pollMs: 10, timeoutMs: 20_000});
  for (const end of ['', '-wal', '-shm']) renameSync(home.file + end, `${home.file}.old${end}`);
  home.open();
  await sleep(1500);
  await journal.requestCancel(operation.number);
  expect((await waiting).state.name).toBe('done');
});
