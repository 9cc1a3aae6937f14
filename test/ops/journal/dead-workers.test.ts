import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import type {Writable} from 'node:stream';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {Fate, Machine, Processes, ProcessIdentity} from '../../../src/lib/processes.ts';
import type {Journal, Operation} from '../../../src/ops/index.ts';
import {makeHome, newOperation, type TestHome} from '../home.ts';

let home: TestHome;

beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const second = 1_000_000;

/** Processes as a test wants them: all others have one fate. */
function pretend(change: Partial<ProcessIdentity> = {}, fate: Fate = 'alive'): Processes & {fate: Fate} {
  const identity = {pid: 4711, startedAt: 'noon', boot: 'today', space: 'here', ...change};
  const pretended = {
    fate,
    self: () => identity,
    identify: (pid: number) => ({...identity, pid}),
    fateOf: () => pretended.fate,
  };
  return pretended;
}

async function running(journal: Journal): Promise<Operation> {
  return (await journal.claim((await journal.create(newOperation())).number))!;
}

function expectInterrupted(operation: Operation | undefined, why: RegExp): void {
  expect(operation?.state).toMatchObject({
    name: 'done',
    outcome: {
      status: 'ERROR',
      error: {code: 'WORKER_DEAD', status: 'ABORTED'},
      issues: [
        {message: expect.stringMatching(why), next: expect.stringContaining('bkp operation get fullbackup/1 --log')},
      ],
    },
  });
}

test('after kill -9 of a worker the next reap ends its operation as ABORTED', async () => {
  home.clock.nowMicros = Date.now() * 1000;
  const journal = home.open();
  const {number} = await journal.create(newOperation());
  const script = join(import.meta.dirname, '..', 'children', 'worker.ts');
  const worker = spawn(process.execPath, [script, home.file, home.logsDir, 'forever'], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  });
  (worker.stdio[3] as Writable).end(String(number));
  await expect.poll(async () => (await journal.get(number)).progress.phase).toBe('Forever');
  expect(await journal.reap()).toEqual([]);

  worker.kill('SIGKILL');
  await once(worker, 'exit');
  const [ended] = await journal.reap();
  expectInterrupted(ended, new RegExp(`process ${worker.pid}, is gone; its last report was at \\d{4}-`));
  expect(await journal.get(number)).toEqual(ended);
  expect(await journal.reap()).toEqual([]);
  expect((await journal.create(newOperation())).number).toBe(2);
});

test.each([
  ['gone', /process 4711, is gone/],
  ['replaced', /another program has its number now/],
  ['rebooted', /restart of the machine/],
] as const)('a worker that is %s ends its operation', async (fate, why) => {
  const processes = pretend();
  const journal = home.open(processes);
  const operation = await running(journal);
  expect(await journal.reap()).toEqual([]);
  processes.fate = fate;
  expectInterrupted((await journal.reap())[0], why);
  expect((await journal.get(operation.number)).progress.percent).toBeLessThan(100);
});

test('a worker that is alive but silent is left alone', async () => {
  const journal = home.open(pretend());
  await running(journal);
  home.clock.nowMicros += 24 * 3600 * second;
  expect(await journal.reap()).toEqual([]);
});

test('a worker in another container is judged by its heartbeat', async () => {
  const processes = pretend({}, 'unseen');
  const journal = home.open(processes);
  const {number} = await running(journal);
  home.clock.nowMicros += 200 * second;
  await journal.report(number, {phase: 'TransferData', bytesDone: 1, itemsDone: 0});
  home.clock.nowMicros += 200 * second;
  expect(await journal.reap()).toEqual([]);
  home.clock.nowMicros += 200 * second;
  expectInterrupted((await journal.reap())[0], /another container/);
});

const otherHost: Machine = {name: 'db2', id: 'machine of db2', cards: '00:00:5e:00:53:02'};

/** As this system sees a process of another host: its pid is free here, and its boot is another one. */
const onOtherHost = () =>
  pretend({pid: 2 ** 22 + 1, boot: 'boot of db2', space: 'pid:[4026531836]', machine: otherHost});

test('a worker of another host is not taken for dead by its pid or its boot, and ends by its silence', async () => {
  const there = home.open(onOtherHost());
  const here = home.open();
  const {number} = await running(there);
  expect((await here.get(number)).state).toMatchObject({workerHost: 'db2'});
  expect(await here.reap()).toEqual([]);
  home.clock.nowMicros += 14 * 60 * second;
  await there.report(number, {phase: 'TransferData', bytesDone: 1, itemsDone: 0});
  home.clock.nowMicros += 14 * 60 * second;
  expect(await here.reap()).toEqual([]);
  home.clock.nowMicros += 2 * 60 * second;
  expectInterrupted((await here.reap())[0], /runs on the host db2, and has not reported for 15 minutes/);
});

test('a report from another host whose clock is ahead is a fresh one', async () => {
  const there = home.open(onOtherHost());
  await running(there);
  home.clock.nowMicros -= 3600 * second;
  expect(await home.open().reap()).toEqual([]);
});

test('a report from another host whose clock was years ahead does not keep its operation open for years', async () => {
  const there = home.open(onOtherHost());
  await running(there);
  home.clock.nowMicros -= 365 * 24 * 3600 * second;
  expectInterrupted((await home.open().reap())[0], /runs on the host db2/);
});

test('an operation queued on another host waits for its worker as long as a worker may be silent', async () => {
  await home.open(onOtherHost()).create(newOperation());
  home.clock.nowMicros += 14 * 60 * second;
  expect(await home.open().reap()).toEqual([]);
  home.clock.nowMicros += 2 * 60 * second;
  expectInterrupted((await home.open().reap())[0], /no worker has taken it up in time/);
});

test('a row of an earlier bkp, which recorded no host, is read as one of this host', async () => {
  const there = home.open(onOtherHost());
  await running(there);
  const db = new DatabaseSync(home.file);
  db.exec('UPDATE operation SET worker_machine = NULL, created_on = NULL');
  db.close();
  const here = home.open();
  expect((await here.open())[0]).not.toHaveProperty('state.workerHost', 'db2');
  expectInterrupted((await here.reap())[0], /ended with a restart of the machine/);
});

test('a queued operation that no worker claims ends after a minute, also when the clock is set back', async () => {
  for (const direction of [1, -1]) {
    const journal = home.open(pretend());
    const {number} = await journal.create(newOperation());
    home.clock.nowMicros += direction * 30 * second;
    expect(await journal.reap()).toEqual([]);
    home.clock.nowMicros += direction * 40 * second;
    expect((await journal.reap()).map((ended) => ended.number)).toEqual([number]);
    expect(await journal.claim(number)).toBeUndefined();
  }
});

test('a queued operation does not outlive a restart', async () => {
  await home.open(pretend()).create(newOperation());
  expectInterrupted(
    (await home.open(pretend({boot: 'tomorrow'}, 'rebooted')).reap())[0],
    /restarted before a worker took it up/,
  );
});

test('a worker that dies before its claim is noticed immediately; a slow one is not ended', async () => {
  const processes = pretend();
  const journal = home.open(processes);
  const {number} = await journal.create(newOperation());
  await journal.assign(number, 4712);
  home.clock.nowMicros += 3600 * second;
  expect(await journal.reap()).toEqual([]);
  processes.fate = 'gone';
  expectInterrupted((await journal.reap())[0], /process 4712, is gone/);
});

test.each(['create', 'requestCancel', 'forget', 'reap'] as const)(
  '%s ends the operation of a dead worker, and reports it once',
  async (call) => {
    const processes = pretend();
    const reaped: Operation[] = [];
    const journal = home.open(processes, (operation) => reaped.push(operation));
    const {number} = await running(journal);
    processes.fate = 'gone';
    if (call === 'create') expect((await journal.create(newOperation())).number).toBe(2);
    else if (call === 'reap') expect(await journal.reap()).toHaveLength(1);
    else journal[call](number);

    expectInterrupted(reaped[0], /is gone/);
    if (call === 'forget') expect(await journal.lastNumber()).toBeUndefined();
    else expect(await journal.get(number)).toEqual(reaped[0]);
    await journal.reap();
    expect(reaped).toHaveLength(1);
  },
);
