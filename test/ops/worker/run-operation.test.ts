import {EventEmitter} from 'node:events';
import {mkdirSync, readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {type Journal, type OperationNumber, runOperation, type Work, type WorkContext} from '../../../src/ops/index.ts';
import {eventually} from '../../helpers/eventually.ts';
import {makeHome, newOperation, type TestHome} from '../home.ts';

let home: TestHome;
let journal: Journal;
let number: OperationNumber;
let signals: EventEmitter;

beforeEach(async () => {
  home = makeHome();
  journal = home.open();
  number = (await journal.create(newOperation())).number;
  signals = new EventEmitter();
});
afterEach(() => {
  vi.useRealTimers();
  home.remove();
});

const run = (work: Work, using: Journal = journal) =>
  runOperation({journal: using, number, work, signals, nowMicros: () => home.clock.nowMicros});
const outcome = async () => {
  const {state} = await journal.get(number);
  return state.name === 'done' ? state.outcome : undefined;
};
const log = async () => readFileSync((await journal.get(number)).logFile, 'utf8');
const untilAborted = ({signal}: WorkContext) => sleep(100_000, {}, {signal});

test('work that returns is a success, with its result and its last figures', async () => {
  const status = await run(async ({operation, progress, log}) => {
    expect(operation).toMatchObject({number, work: {collection: 'shop'}, state: {name: 'running'}});
    progress({phase: 'TransferData', bytesDone: 8, bytesTotal: 8, itemsDone: 1});
    log('first\nsecond');
    return {backup: 'shop/1_full', rows: 3};
  });
  expect(status).toBe(0);
  expect(await outcome()).toEqual({status: 'SUCCESS', result: {backup: 'shop/1_full', rows: 3}});
  expect((await journal.get(number)).progress).toMatchObject({phase: 'TransferData', bytesDone: 8, percent: 100});
  expect((await log()).split('\n').filter(Boolean)).toEqual([
    expect.stringMatching(/^2026-11-21T12:00:00\.000Z fullbackup\/1 starts in process \d+: BACKUP shop$/),
    '2026-11-21T12:00:00.000Z first',
    '2026-11-21T12:00:00.000Z second',
    '2026-11-21T12:00:00.000Z fullbackup/1 ended: SUCCESS',
  ]);
});

test('work that throws a known error ends with it; the log has what, cause and next step', async () => {
  const status = await run(async () => {
    throw new BkpError('STORE_FULL', 'the disk is full', {cause: 'ENOSPC', next: 'free some space'});
  });
  expect(status).toBe(0);
  expect(await outcome()).toMatchObject({status: 'ERROR', error: {code: 'STORE_FULL', next: 'free some space'}});
  expect(await log()).toMatch(/bkp: the disk is full.*\n.*cause: ENOSPC\n.*next: {2}free some space\n/);
  expect(await log()).not.toContain('run-operation.test.ts');
});

test('work that throws anything else ends with a fault of ours; the log has the stack', async () => {
  await run(() => {
    throw new TypeError('x is undefined');
  });
  expect(await outcome()).toMatchObject({status: 'ERROR', error: {code: 'INTERNAL', status: 'INTERNAL_ERROR'}});
  expect(await log()).toContain('run-operation.test.ts');
});

test('a worker that loses the claim exits with status 0 and does no work', async () => {
  await home.open().claim(number);
  const work = vi.fn<Work>();
  expect(await run(work)).toBe(0);
  expect(work).not.toHaveBeenCalled();
});

test('a cancel from another process aborts the work', async () => {
  const ended = run(untilAborted);
  await sleep(50);
  await home.open().requestCancel(number);
  expect(await ended).toBe(0);
  expect(await outcome()).toEqual({status: 'CANCELLED', result: {}});
});

test('the work gets the limits of a throttle from before its start, and of one while it runs', async () => {
  const throttle = (uploadBytesPerSecond: number | null) =>
    home.open().throttle(number, {change: {uploadBytesPerSecond}, before: {downloadBytesPerSecond: 9}});
  await throttle(5);
  const ended = run(async ({limits}) => {
    expect(limits()).toEqual({uploadBytesPerSecond: 5, downloadBytesPerSecond: 9});
    await throttle(null);
    await eventually(() => expect(limits()?.uploadBytesPerSecond).toBeUndefined());
    expect(limits()).toEqual({downloadBytesPerSecond: 9});
    return {rows: 1};
  });
  expect(await ended).toBe(0);
  expect(await outcome()).toEqual({status: 'SUCCESS', result: {rows: 1}});
});

test('the limits of an operation that was not throttled are undefined', async () => {
  await run(async ({limits}) => {
    expect(limits()).toBeUndefined();
    await sleep(400);
    expect(limits()).toBeUndefined();
    return {rows: 1};
  });
  expect(await outcome()).toEqual({status: 'SUCCESS', result: {rows: 1}});
});

test('work that throws any error after a cancel ends as CANCELLED, and the log has the error', async () => {
  const ended = run(async (context) => {
    await untilAborted(context).catch(() => {});
    throw new Error('a stream was destroyed');
  });
  signals.emit('SIGTERM');
  await ended;
  expect(await outcome()).toMatchObject({status: 'CANCELLED'});
  expect(await log()).toContain('a stream was destroyed');
});

test('work that finishes in spite of a cancel is a success', async () => {
  const ended = run(async (context) => {
    await untilAborted(context).catch(() => {});
    return {rows: 1};
  });
  signals.emit('SIGINT');
  await ended;
  expect(await outcome()).toEqual({status: 'SUCCESS', result: {rows: 1}});
});

test('SIGHUP does not stop the work, and no signal listener stays after its end', async () => {
  await run(async ({signal}) => {
    expect(signals.emit('SIGHUP')).toBe(true);
    expect(signal.aborted).toBe(false);
    return {};
  });
  expect(await outcome()).toMatchObject({status: 'SUCCESS'});
  expect(signals.eventNames()).toEqual([]);
});

test('progress that is reported for every segment is written a few times a second', async () => {
  vi.useFakeTimers();
  const report = vi.fn(journal.report);
  await run(
    async ({progress}) => {
      for (let at = 0; at < 100_000; at++) progress({phase: 'x', bytesDone: at, itemsDone: 0});
      await vi.advanceTimersByTimeAsync(1_000);
      expect((await journal.get(number)).progress.bytesDone).toBe(99_999);
      return {};
    },
    {...journal, report},
  );
  expect(report.mock.calls.length).toBeGreaterThanOrEqual(2);
  expect(report.mock.calls.length).toBeLessThanOrEqual(6);
});

test('a blocked event loop does not make a worker look dead', async () => {
  await run(async () => {
    const until = Date.now() + 700;
    while (Date.now() < until);
    home.clock.nowMicros += 3600e6;
    expect(await home.open().reap()).toEqual([]);
    return {};
  });
  expect(await outcome()).toMatchObject({status: 'SUCCESS'});
});

const full = async () => {
  throw new BkpError('JOURNAL_UNAVAILABLE', 'the journal cannot be used', {cause: 'disk full'});
};

test('the work continues while the journal cannot be written', async () => {
  vi.useFakeTimers();
  const report = vi.fn(journal.report).mockImplementationOnce(full).mockImplementationOnce(full);
  await run(
    async () => {
      await vi.advanceTimersByTimeAsync(1_000);
      return {rows: 1};
    },
    {...journal, report},
  );
  expect(await outcome()).toEqual({status: 'SUCCESS', result: {rows: 1}});
  expect((await log()).match(/cannot be written for now: the journal cannot be used: disk full/g)).toHaveLength(1);
  expect(await log()).toContain('the journal can be written again');
});

test('the worker retries to write the outcome until the journal accepts it', async () => {
  vi.useFakeTimers();
  const finish = vi.fn(journal.finish).mockImplementationOnce(full).mockImplementationOnce(full);
  const ended = run(async () => ({rows: 1}), {...journal, finish});
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await ended).toBe(0);
  expect(finish).toHaveBeenCalledTimes(3);
  expect(await outcome()).toEqual({status: 'SUCCESS', result: {rows: 1}});
});

test('a worker that cannot write the outcome fails, and leaves the operation open for the next reader', async () => {
  vi.useFakeTimers();
  const ended = run(async () => ({}), {...journal, finish: full});
  await vi.advanceTimersByTimeAsync(120_000);
  expect(await ended).toBe(1);
  expect((await journal.get(number)).state.name).toBe('running');
  expect(await log()).toContain('the journal does not have it');
});

test('an operation that another process has ended keeps its outcome, and its work is stopped', async () => {
  const ended = run(untilAborted);
  await journal.finish(number, {
    status: 'ERROR',
    error: {code: 'x', status: 'x', message: 'x'},
    issues: [],
    result: {},
  });
  expect(await ended).toBe(1);
  expect(await outcome()).toMatchObject({status: 'ERROR'});
});

test('an operation whose log cannot be opened is carried out', async () => {
  mkdirSync((await journal.get(number)).logFile, {recursive: true});
  expect(await run(async () => ({rows: 1}))).toBe(0);
  expect(await outcome()).toMatchObject({status: 'SUCCESS'});
});

test('began is called before the work, and ended when the journal has the outcome', async () => {
  const heard: unknown[] = [];
  const {nowMicros} = home.clock;
  const status = await runOperation({
    journal,
    number,
    signals,
    nowMicros: () => nowMicros,
    work: async () => {
      heard.push('work');
      throw new BkpError('STORE_FULL', 'the disk is full');
    },
    began: ({operation, log}) => {
      heard.push(operation.state.name);
      log('somebody was told of the beginning');
    },
    ended: async ({operation, log}) => {
      heard.push(operation.state);
      heard.push(signals.eventNames());
      log('somebody was told of the end');
      throw new Error('that somebody is ill');
    },
  });
  // Its own trouble is in the log, and nowhere else.
  expect(status).toBe(0);
  expect(heard).toEqual([
    'running',
    'work',
    expect.objectContaining({name: 'done', outcome: expect.objectContaining({status: 'ERROR'})}),
    [],
  ]);
  expect(await outcome()).toEqual((heard[2] as {outcome: unknown}).outcome);
  expect(await log()).toMatch(/of the beginning.*ended: ERROR\n.*of the end\n.*that somebody is ill/s);
});

test('ended is not called for an outcome that the journal did not accept', async () => {
  const ended = vi.fn(async () => {});
  const finish = async () => false;
  await runOperation({
    journal: {...journal, finish},
    number,
    signals,
    nowMicros: () => 0,
    work: async () => ({}),
    ended,
  });
  expect(ended).not.toHaveBeenCalled();
});
