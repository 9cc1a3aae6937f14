import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {
  failure,
  type Journal,
  type OperationNumber,
  type OperationOutcome,
  operationId,
  type Processes,
} from '../../src/ops/index.ts';
import {makeHome, newOperation, type TestHome} from './home.ts';

let home: TestHome;
let journal: Journal;

beforeEach(() => {
  home = makeHome();
  journal = home.open();
});
afterEach(() => home.remove());

const success: OperationOutcome = {status: 'SUCCESS', result: {backup: 'shop/1_full', rows: 3}};
const second = 1_000_000;

test('an operation goes from queued over running to done, and keeps what it was told', () => {
  const createdAtMicros = home.clock.nowMicros;
  const created = journal.create(newOperation({backup: 'shop/1_full'}));
  expect(created).toMatchObject({
    ...newOperation({backup: 'shop/1_full'}),
    number: 1,
    createdAtMicros,
    progress: {phase: 'Preparing', percent: 0},
    state: {name: 'queued'},
  });
  expect(operationId(created)).toBe('fullbackup/1');

  home.clock.nowMicros += second;
  expect(journal.claim(created.number)?.state).toEqual({
    name: 'running',
    startedAtMicros: createdAtMicros + second,
    heartbeatAtMicros: createdAtMicros + second,
    workerPid: process.pid,
    cancelRequested: false,
  });

  home.clock.nowMicros += second;
  const figures = {phase: 'TransferData', bytesDone: 1, bytesTotal: 4, itemsDone: 2, itemsTotal: 3};
  const rates = {bytesPerSecond: 1, secondsLeft: 3};
  expect(journal.report(created.number, {...figures, ...rates})).toEqual({cancelRequested: false});
  expect(journal.get(created.number)).toMatchObject({
    progress: {...figures, ...rates, percent: 25},
    state: {heartbeatAtMicros: createdAtMicros + 2 * second},
  });

  home.clock.nowMicros += second;
  expect(journal.finish(created.number, success)).toBe(true);
  const done = journal.get(created.number);
  expect(done.state).toEqual({
    name: 'done',
    startedAtMicros: createdAtMicros + second,
    endedAtMicros: createdAtMicros + 3 * second,
    outcome: success,
  });
  expect(done.progress).toEqual({...figures, percent: 100});
});

test('only one open operation a subject, unless it is shared', () => {
  const first = journal.create(newOperation());
  expect(() => journal.create(newOperation({kind: 'incbackup'}))).toThrow(
    expect.objectContaining({
      code: 'BUSY',
      status: 'OVERLOADED',
      message: 'collection shop is busy',
      cause: expect.stringContaining('fullbackup/1'),
      next: expect.stringContaining('bkp operation get fullbackup/1'),
      context: {operation: 'fullbackup/1'},
    }),
  );
  journal.claim(first.number);
  expect(() => journal.create(newOperation())).toThrow(expect.objectContaining({code: 'BUSY'}));

  journal.create(newOperation({subject: 'collection other'}));
  journal.create(newOperation({kind: 'verify', shared: true}));
  journal.create(newOperation({kind: 'verify', shared: true}));
  expect(journal.open().map(({number}) => number)).toEqual([1, 2, 3, 4]);

  journal.finish(first.number, success);
  // The refused ones have used up no numbers.
  expect(journal.create(newOperation()).number).toBe(5);
});

test('a claim is won once', () => {
  const {number} = journal.create(newOperation());
  expect(journal.claim(number)).toBeDefined();
  expect(home.open().claim(number)).toBeUndefined();
  journal.finish(number, success);
  expect(journal.claim(number)).toBeUndefined();
  expect(journal.claim(9999 as OperationNumber)).toBeUndefined();
});

test('a cancel ends a queued operation at once, so that its worker finds nothing to claim', () => {
  const {number} = journal.create(newOperation());
  journal.requestCancel(number);
  expect(journal.get(number).state).toEqual({
    name: 'done',
    endedAtMicros: home.clock.nowMicros,
    outcome: {status: 'CANCELLED', result: {}},
  });
  expect(journal.claim(number)).toBeUndefined();
  journal.create(newOperation());
});

test('a cancel asks a running operation to stop, and leaves the end to its worker', () => {
  const {number} = journal.create(newOperation());
  journal.claim(number);
  journal.requestCancel(number);
  expect(journal.get(number).state).toMatchObject({name: 'running', cancelRequested: true});
  const report = journal.report(number, {phase: 'TransferData', bytesDone: 1, itemsDone: 0});
  expect(report).toEqual({cancelRequested: true});
  journal.finish(number, {status: 'CANCELLED', result: {}});
  expect(journal.get(number).state).toMatchObject({name: 'done', outcome: {status: 'CANCELLED'}});
});

test('a throttle bounds a queued or a running operation, and its worker hears of it', () => {
  const {number} = journal.create(newOperation());
  const before = {uploadBytesPerSecond: 5, downloadBytesPerSecond: 7};
  const figures = {phase: 'TransferData', bytesDone: 1, itemsDone: 0};
  // What the change does not name stays as the operation began.
  const queued = journal.throttle(number, {change: {uploadBytesPerSecond: 3}, before});
  expect(queued.limits).toEqual({uploadBytesPerSecond: 3, downloadBytesPerSecond: 7});
  expect(journal.claim(number)?.limits).toEqual(queued.limits);
  // And then as the last throttle left it.
  home.open().throttle(number, {change: {downloadBytesPerSecond: null}, before});
  expect(journal.report(number, figures)).toEqual({cancelRequested: false, limits: {uploadBytesPerSecond: 3}});
  journal.throttle(number, {change: {uploadBytesPerSecond: null}, before});
  expect(journal.report(number, figures)).toEqual({cancelRequested: false, limits: {}});
  journal.throttle(number, {change: {uploadBytesPerSecond: 1, downloadBytesPerSecond: 2}, before});
  expect(journal.get(number).limits).toEqual({uploadBytesPerSecond: 1, downloadBytesPerSecond: 2});
});

test('a throttle of a done operation is refused, one of an unknown operation is an error', () => {
  const {number} = journal.create(newOperation());
  journal.claim(number);
  journal.finish(number, success);
  const options = {change: {uploadBytesPerSecond: 1}, before: {}};
  expect(() => journal.throttle(number, options)).toThrow(
    expect.objectContaining({code: 'PRECONDITION', message: 'Full backup with id 1 is done already', exitStatus: 12}),
  );
  expect(journal.get(number)).not.toHaveProperty('limits');
  expect(() => journal.throttle(77 as OperationNumber, options)).toThrow(
    expect.objectContaining({code: 'OPERATION_NOT_FOUND', exitStatus: 10}),
  );
});

test('a cancel of a done operation changes nothing; one of an unknown operation is an error', () => {
  const {number} = journal.create(newOperation());
  journal.claim(number);
  journal.finish(number, success);
  const before = journal.get(number);
  home.clock.nowMicros += second;
  journal.requestCancel(number);
  expect(journal.get(number)).toEqual(before);
  expect(() => journal.requestCancel(77 as OperationNumber)).toThrow(
    expect.objectContaining({code: 'OPERATION_NOT_FOUND', message: 'Operation with id 77 is not found'}),
  );
});

test('the first end stays, and a worker that comes after it is told to stop', () => {
  const {number} = journal.create(newOperation());
  journal.claim(number);
  expect(journal.finish(number, failure(new Error('first')))).toBe(true);
  expect(journal.finish(number, success)).toBe(false);
  expect(journal.get(number).state).toMatchObject({outcome: {status: 'ERROR'}});
  const report = journal.report(number, {phase: 'x', bytesDone: 1, itemsDone: 0});
  expect(report).toEqual({cancelRequested: true});
  expect(journal.get(number).progress.phase).toBe('Preparing');
  expect(journal.finish(9999 as OperationNumber, success)).toBe(false);
});

test('a done operation can be forgotten, with its log; its number is not given again', () => {
  const {number, logFile} = journal.create(newOperation());
  mkdirSync(home.logsDir, {recursive: true});
  writeFileSync(logFile, 'a line\n');
  for (const step of [() => {}, () => journal.claim(number)]) {
    step();
    expect(() => journal.forget(number)).toThrow(
      expect.objectContaining({code: 'PRECONDITION', message: "Full backup with id 1 hasn't been finished yet"}),
    );
  }
  journal.finish(number, success);
  journal.forget(number);
  expect(existsSync(logFile)).toBe(false);
  for (const call of [journal.get, journal.forget, journal.requestCancel]) {
    expect(() => call(number)).toThrow(expect.objectContaining({code: 'OPERATION_NOT_FOUND', exitStatus: 10}));
  }
  expect(journal.create(newOperation()).number).toBe(2);
});

test('an operation is found by what the user typed, and missed in the user’s words', () => {
  expect(() => journal.find({last: true})).toThrow(expect.objectContaining({code: 'OPERATION_NOT_FOUND'}));
  const full = journal.create(newOperation({subject: 'a'}));
  const incremental = journal.create(newOperation({subject: 'b', kind: 'incbackup'}));
  expect(journal.find({last: true})).toEqual(incremental);
  expect(journal.find({number: full.number})).toEqual(full);
  expect(journal.find({kind: 'fullbackup', number: full.number})).toEqual(full);
  // A listing of incbackup shows the full backups, so an id made of its word finds them.
  expect(journal.find({kind: 'incbackup', number: full.number})).toEqual(full);
  expect(() => journal.find({kind: 'fullbackup', number: incremental.number})).toThrow(
    expect.objectContaining({
      message: 'Full backup with id 2 is not found',
      cause: 'the operation with this number is incbackup/2',
      next: 'bkp operation get incbackup/2',
    }),
  );
  const missing = 9999 as OperationNumber;
  for (const [ref, noun] of [
    [{number: missing}, 'Operation'],
    [{number: missing, kind: 'fullbackup'}, 'Full backup'],
    [{number: missing, kind: 'incbackup'}, 'Incremental backup'],
    [{number: missing, kind: 'restore'}, 'Restore'],
  ] as const) {
    expect(() => journal.find(ref)).toThrow(`${noun} with id 9999 is not found`);
  }
});

test('a clock that goes back changes no order, and nothing ends before it starts', () => {
  const old = journal.create(newOperation());
  const createdAtMicros = home.clock.nowMicros;
  home.clock.nowMicros -= 30 * second;
  expect(journal.claim(old.number)?.state).toMatchObject({startedAtMicros: createdAtMicros});
  home.clock.nowMicros -= 3600 * second;
  journal.finish(old.number, success);
  expect(journal.get(old.number).state).toMatchObject({
    startedAtMicros: createdAtMicros,
    endedAtMicros: createdAtMicros,
  });

  const young = journal.create(newOperation());
  expect(young.createdAtMicros).toBeLessThan(old.createdAtMicros);
  expect(journal.list({page: 1, pageSize: 10}).operations.map(({number}) => number)).toEqual([
    young.number,
    old.number,
  ]);
  home.clock.nowMicros -= second;
  journal.requestCancel(young.number);
  expect(journal.get(young.number).state).toMatchObject({endedAtMicros: young.createdAtMicros});
});

test('what happened between two openings is there', () => {
  journal.create(newOperation({work: {nested: ['ü', null, 1.5]}}));
  journal.close();
  journal.close();
  expect(home.open().get(1 as OperationNumber).work).toEqual({nested: ['ü', null, 1.5]});
});

test('a notice is added to what has ended, after those that are there, whatever it says', () => {
  const text = 'quotes \' " and\nlines, ü';
  const endings: OperationOutcome[] = [
    {status: 'SUCCESS', result: {rows: 1, notices: ['first']}},
    {status: 'CANCELLED', result: {}},
    {status: 'ERROR', error: {code: 'x', status: 'x', message: 'x'}, issues: [], result: {}},
  ];
  for (const ending of endings) {
    const {number} = journal.create(newOperation());
    journal.addNotice(number, 'too early');
    journal.claim(number);
    journal.finish(number, ending);
    journal.addNotice(number, text);
    journal.addNotice(number, '[]');
    const {state} = journal.get(number);
    const notices = [...(ending.result.notices ?? []), text, '[]'];
    expect(state).toMatchObject({name: 'done', outcome: {...ending, result: {...ending.result, notices}}});
    journal.forget(number);
    journal.addNotice(number, 'too late');
  }
});

/** A process that lives, and is none of this test's. */
const another = (pid: number): Processes => {
  const identity = {pid, startedAt: `start of ${pid}`, boot: 'boot', space: 'space'};
  return {self: () => identity, identify: (of) => ({...identity, pid: of}), fateOf: () => 'alive'};
};

test('what another process has claimed only that one ends', () => {
  const [mine, others] = [home.open(another(1)), home.open(another(2))];
  const {number} = mine.create(newOperation());
  others.claim(number);
  // The starter may come to believe that there is no worker, when one is at work.
  expect(mine.finish(number, failure(new Error('no worker')))).toBe(false);
  expect(mine.get(number).state.name).toBe('running');
  expect(others.finish(number, success)).toBe(true);
  expect(mine.get(number).state).toMatchObject({outcome: success});
});

test('who finds a worker dead does not end what has another worker by then', () => {
  const starter = home.open(another(1));
  const {number} = starter.create(newOperation());
  starter.assign(number, 77);
  let looks = 0;
  const observer = home.open({
    ...another(3),
    // Between the look and the end, the operation gets another worker: still queued, and no longer that of the dead one.
    fateOf: ({pid}) => {
      if (++looks === 1) starter.assign(number, 88);
      return pid === 77 ? 'gone' : 'alive';
    },
  });
  expect(observer.reap()).toEqual([]);
  expect(observer.get(number).state.name).toBe('queued');
});

test('a row that is odd costs itself alone', () => {
  const numbers = Array.from({length: 5}, () => {
    const {number} = journal.create(newOperation({shared: true}));
    journal.claim(number);
    journal.finish(number, success);
    return number;
  });
  const db = new DatabaseSync(home.file);
  db.exec(`UPDATE operation SET outcome = '{' WHERE number = 1; UPDATE operation SET outcome = '{"status":"SUCCESS"}'
    WHERE number = 2; UPDATE operation SET outcome = NULL WHERE number = 3; UPDATE operation SET work = 'x', limits = '[' WHERE number = 4`);
  db.close();
  const {operations} = journal.list({page: 1, pageSize: 10});
  const statuses = operations.map(({state}) => state.name === 'done' && state.outcome.status);
  expect(statuses).toEqual(['SUCCESS', 'SUCCESS', 'ERROR', 'ERROR', 'ERROR']);
  expect(journal.get(numbers[1]!).state).toMatchObject({
    outcome: {
      error: {code: 'JOURNAL_UNAVAILABLE', next: expect.stringContaining('bkp operation forget fullbackup/2')},
    },
  });
  for (const number of numbers) journal.forget(number);
  expect(journal.list({page: 1, pageSize: 10}).operations).toEqual([]);
});

test('what was written while the clock was past 2255 is read, and the clock can be set back', () => {
  const now = home.clock.nowMicros;
  home.clock.nowMicros = Date.UTC(2300, 0, 1) * 1000;
  const {number} = journal.create(newOperation());
  journal.claim(number);
  journal.report(number, {phase: 'x', bytesDone: 0, itemsDone: 0});
  journal.finish(number, success);
  home.clock.nowMicros = now;
  const again = home.open();
  expect(again.list({page: 1, pageSize: 10}).operations[0]?.createdAtMicros).toBe(Date.UTC(2300, 0, 1) * 1000);
  again.create(newOperation());
});
