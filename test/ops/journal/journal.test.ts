import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {Processes} from '../../../src/lib/processes.ts';
import {
  failure,
  type Journal,
  type OperationNumber,
  type OperationOutcome,
  operationId,
} from '../../../src/ops/index.ts';
import {makeHome, newOperation, type TestHome} from '../home.ts';

let home: TestHome;
let journal: Journal;

beforeEach(() => {
  home = makeHome();
  journal = home.open();
});
afterEach(() => home.remove());

const success: OperationOutcome = {status: 'SUCCESS', result: {backup: 'shop/1_full', rows: 3}};
const second = 1_000_000;

test('an operation is queued, then running, then done, and keeps everything that was reported', async () => {
  const createdAtMicros = home.clock.nowMicros;
  const created = await journal.create(newOperation({backup: 'shop/1_full'}));
  expect(created).toMatchObject({
    ...newOperation({backup: 'shop/1_full'}),
    number: 1,
    createdAtMicros,
    progress: {phase: 'Preparing', percent: 0},
    state: {name: 'queued'},
  });
  expect(operationId(created)).toBe('fullbackup/1');

  home.clock.nowMicros += second;
  expect((await journal.claim(created.number))?.state).toEqual({
    name: 'running',
    startedAtMicros: createdAtMicros + second,
    heartbeatAtMicros: createdAtMicros + second,
    workerPid: process.pid,
    workerHost: hostname(),
    cancelRequested: false,
  });

  home.clock.nowMicros += second;
  const figures = {phase: 'TransferData', bytesDone: 1, bytesTotal: 4, itemsDone: 2, itemsTotal: 3};
  const rates = {bytesPerSecond: 1, secondsLeft: 3};
  expect(await journal.report(created.number, {...figures, ...rates})).toEqual({cancelRequested: false});
  expect(await journal.get(created.number)).toMatchObject({
    progress: {...figures, ...rates, percent: 25},
    state: {heartbeatAtMicros: createdAtMicros + 2 * second},
  });

  home.clock.nowMicros += second;
  expect(await journal.finish(created.number, success)).toBe(true);
  const done = await journal.get(created.number);
  expect(done.state).toEqual({
    name: 'done',
    startedAtMicros: createdAtMicros + second,
    endedAtMicros: createdAtMicros + 3 * second,
    outcome: success,
  });
  expect(done.progress).toEqual({...figures, percent: 100});
});

test('only one open operation a subject, unless it is shared', async () => {
  const first = await journal.create(newOperation());
  await expect(journal.create(newOperation({kind: 'incbackup'}))).rejects.toThrow(
    expect.objectContaining({
      code: 'BUSY',
      status: 'OVERLOADED',
      message: 'collection shop is busy',
      cause: expect.stringContaining('fullbackup/1'),
      next: expect.stringContaining('bkp operation get fullbackup/1'),
      context: {operation: 'fullbackup/1'},
    }),
  );
  await journal.claim(first.number);
  await expect(journal.create(newOperation())).rejects.toThrow(expect.objectContaining({code: 'BUSY'}));

  await journal.create(newOperation({subject: {kind: 'collection', name: 'other'}}));
  await journal.create(newOperation({kind: 'verify', shared: true}));
  await journal.create(newOperation({kind: 'verify', shared: true}));
  expect((await journal.open()).map(({number}) => number)).toEqual([1, 2, 3, 4]);

  await journal.finish(first.number, success);
  // The refused ones have used up no numbers.
  expect((await journal.create(newOperation())).number).toBe(5);
});

test('a claim is won once', async () => {
  const {number} = await journal.create(newOperation());
  expect(await journal.claim(number)).toBeDefined();
  expect(await home.open().claim(number)).toBeUndefined();
  await journal.finish(number, success);
  expect(await journal.claim(number)).toBeUndefined();
  expect(await journal.claim(9999 as OperationNumber)).toBeUndefined();
});

test('a cancel ends a queued operation at once, so that its worker finds nothing to claim', async () => {
  const {number} = await journal.create(newOperation());
  await journal.requestCancel(number);
  expect((await journal.get(number)).state).toEqual({
    name: 'done',
    endedAtMicros: home.clock.nowMicros,
    outcome: {status: 'CANCELLED', result: {}},
  });
  expect(await journal.claim(number)).toBeUndefined();
  await journal.create(newOperation());
});

test('a cancel asks a running operation to stop, and leaves the end to its worker', async () => {
  const {number} = await journal.create(newOperation());
  await journal.claim(number);
  await journal.requestCancel(number);
  expect((await journal.get(number)).state).toMatchObject({name: 'running', cancelRequested: true});
  const report = await journal.report(number, {phase: 'TransferData', bytesDone: 1, itemsDone: 0});
  expect(report).toEqual({cancelRequested: true});
  await journal.finish(number, {status: 'CANCELLED', result: {}});
  expect((await journal.get(number)).state).toMatchObject({name: 'done', outcome: {status: 'CANCELLED'}});
});

test('a throttle limits a queued or a running operation, and its worker gets the limits', async () => {
  const {number} = await journal.create(newOperation());
  const before = {uploadBytesPerSecond: 5, downloadBytesPerSecond: 7};
  const figures = {phase: 'TransferData', bytesDone: 1, itemsDone: 0};
  // What the change does not name stays as the operation began.
  const queued = await journal.throttle(number, {change: {uploadBytesPerSecond: 3}, before});
  expect(queued.limits).toEqual({uploadBytesPerSecond: 3, downloadBytesPerSecond: 7});
  expect((await journal.claim(number))?.limits).toEqual(queued.limits);
  // And then as the last throttle left it.
  await home.open().throttle(number, {change: {downloadBytesPerSecond: null}, before});
  expect(await journal.report(number, figures)).toEqual({cancelRequested: false, limits: {uploadBytesPerSecond: 3}});
  await journal.throttle(number, {change: {uploadBytesPerSecond: null}, before});
  expect(await journal.report(number, figures)).toEqual({cancelRequested: false, limits: {}});
  await journal.throttle(number, {change: {uploadBytesPerSecond: 1, downloadBytesPerSecond: 2}, before});
  expect((await journal.get(number)).limits).toEqual({uploadBytesPerSecond: 1, downloadBytesPerSecond: 2});
});

test('a throttle of a done operation is refused, one of an unknown operation is an error', async () => {
  const {number} = await journal.create(newOperation());
  await journal.claim(number);
  await journal.finish(number, success);
  const options = {change: {uploadBytesPerSecond: 1}, before: {}};
  await expect(journal.throttle(number, options)).rejects.toThrow(
    expect.objectContaining({code: 'PRECONDITION', message: 'Full backup with id 1 is done already', exitStatus: 12}),
  );
  expect(await journal.get(number)).not.toHaveProperty('limits');
  await expect(journal.throttle(77 as OperationNumber, options)).rejects.toThrow(
    expect.objectContaining({code: 'OPERATION_NOT_FOUND', exitStatus: 10}),
  );
});

test('a cancel of a done operation changes nothing; one of an unknown operation is an error', async () => {
  const {number} = await journal.create(newOperation());
  await journal.claim(number);
  await journal.finish(number, success);
  const before = await journal.get(number);
  home.clock.nowMicros += second;
  await journal.requestCancel(number);
  expect(await journal.get(number)).toEqual(before);
  await expect(journal.requestCancel(77 as OperationNumber)).rejects.toThrow(
    expect.objectContaining({code: 'OPERATION_NOT_FOUND', message: 'Operation with id 77 is not found'}),
  );
});

test('the first outcome stays, and a later report of a worker returns that it must stop', async () => {
  const {number} = await journal.create(newOperation());
  await journal.claim(number);
  expect(await journal.finish(number, failure(new Error('first')))).toBe(true);
  expect(await journal.finish(number, success)).toBe(false);
  expect((await journal.get(number)).state).toMatchObject({outcome: {status: 'ERROR'}});
  const report = await journal.report(number, {phase: 'x', bytesDone: 1, itemsDone: 0});
  expect(report).toEqual({cancelRequested: true});
  expect((await journal.get(number)).progress.phase).toBe('Preparing');
  expect(await journal.finish(9999 as OperationNumber, success)).toBe(false);
});

test('a done operation can be forgotten, with its log; its number is not reused', async () => {
  const {number, logFile} = await journal.create(newOperation());
  mkdirSync(home.logsDir, {recursive: true});
  writeFileSync(logFile, 'a line\n');
  for (const step of [async () => {}, () => journal.claim(number)]) {
    await step();
    await expect(journal.forget(number)).rejects.toThrow(
      expect.objectContaining({code: 'PRECONDITION', message: "Full backup with id 1 hasn't been finished yet"}),
    );
  }
  await journal.finish(number, success);
  await journal.forget(number);
  expect(existsSync(logFile)).toBe(false);
  for (const call of [journal.get, journal.forget, journal.requestCancel]) {
    await expect(call(number)).rejects.toThrow(expect.objectContaining({code: 'OPERATION_NOT_FOUND', exitStatus: 10}));
  }
  expect((await journal.create(newOperation())).number).toBe(2);
});

test('batches() reads every operation once, newest first, also of some kinds, while others are added', async () => {
  await journal.create(newOperation({shared: true}));
  journal.close();
  const database = new DatabaseSync(home.file);
  const {names} = database
    .prepare(
      "SELECT group_concat(name) AS names FROM pragma_table_info('operation') WHERE name NOT IN ('number', 'kind')",
    )
    .get() as {names: string};
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
    INSERT INTO operation (number, kind, ${names})
    SELECT i, iif(i % 5 = 0, 'verify', kind), ${names} FROM n, operation WHERE number = 1`);
  database.close();
  journal = home.open();

  const seen: number[] = [];
  for await (const batch of journal.batches()) {
    seen.push(...batch.map(({number}) => number));
    await journal.create(newOperation({shared: true}));
  }
  expect(seen).toEqual(Array.from({length: 1100}, (_, at) => 1100 - at));

  const verifications: number[] = [];
  for await (const batch of journal.batches(['verify'])) verifications.push(...batch.map(({number}) => number));
  expect(verifications).toEqual(Array.from({length: 220}, (_, at) => 1100 - 5 * at));
});

test('find accepts every form of an id, and its error repeats the kind that the user typed', async () => {
  await expect(journal.find({last: true})).rejects.toThrow(expect.objectContaining({code: 'OPERATION_NOT_FOUND'}));
  const full = await journal.create(newOperation({subject: {kind: 'collection', name: 'a'}}));
  const incremental = await journal.create(newOperation({subject: {kind: 'collection', name: 'b'}, kind: 'incbackup'}));
  expect(await journal.find({last: true})).toEqual(incremental);
  expect(await journal.find({number: full.number})).toEqual(full);
  expect(await journal.find({kind: 'fullbackup', number: full.number})).toEqual(full);
  // A listing of incbackup shows the full backups, so an id made of its word finds them.
  expect(await journal.find({kind: 'incbackup', number: full.number})).toEqual(full);
  await expect(journal.find({kind: 'fullbackup', number: incremental.number})).rejects.toThrow(
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
    await expect(journal.find(ref)).rejects.toThrow(`${noun} with id 9999 is not found`);
  }
});

test('a clock that is set back changes no order, and no operation ends before it starts', async () => {
  const old = await journal.create(newOperation());
  const createdAtMicros = home.clock.nowMicros;
  home.clock.nowMicros -= 30 * second;
  expect((await journal.claim(old.number))?.state).toMatchObject({startedAtMicros: createdAtMicros});
  home.clock.nowMicros -= 3600 * second;
  await journal.finish(old.number, success);
  expect((await journal.get(old.number)).state).toMatchObject({
    startedAtMicros: createdAtMicros,
    endedAtMicros: createdAtMicros,
  });

  const young = await journal.create(newOperation());
  expect(young.createdAtMicros).toBeLessThan(old.createdAtMicros);
  expect((await journal.list({page: 1, pageSize: 10})).operations.map(({number}) => number)).toEqual([
    young.number,
    old.number,
  ]);
  home.clock.nowMicros -= second;
  await journal.requestCancel(young.number);
  expect((await journal.get(young.number)).state).toMatchObject({endedAtMicros: young.createdAtMicros});
});

test('operations survive closing and opening the journal', async () => {
  await journal.create(newOperation({work: {nested: ['ü', null, 1.5]}}));
  journal.close();
  journal.close();
  expect((await home.open().get(1 as OperationNumber)).work).toEqual({nested: ['ü', null, 1.5]});
});

test('addNotice appends any text to the notices of a done operation', async () => {
  const text = 'quotes \' " and\nlines, ü';
  const endings: OperationOutcome[] = [
    {status: 'SUCCESS', result: {rows: 1, notices: ['first']}},
    {status: 'CANCELLED', result: {}},
    {status: 'ERROR', error: {code: 'x', status: 'x', message: 'x'}, issues: [], result: {}},
  ];
  for (const ending of endings) {
    const {number} = await journal.create(newOperation());
    await journal.addNotice(number, 'too early');
    await journal.claim(number);
    await journal.finish(number, ending);
    await journal.addNotice(number, text);
    await journal.addNotice(number, '[]');
    const {state} = await journal.get(number);
    const notices = [...(ending.result.notices ?? []), text, '[]'];
    expect(state).toMatchObject({name: 'done', outcome: {...ending, result: {...ending.result, notices}}});
    await journal.forget(number);
    await journal.addNotice(number, 'too late');
  }
});

/** Another process, which is alive. */
const another = (pid: number): Processes => {
  const identity = {pid, startedAt: `start of ${pid}`, boot: 'boot', space: 'space'};
  return {self: () => identity, identify: (of) => ({...identity, pid: of}), fateOf: () => 'alive'};
};

test('only the process that has claimed an operation can end it', async () => {
  const [mine, others] = [home.open(another(1)), home.open(another(2))];
  const {number} = await mine.create(newOperation());
  await others.claim(number);
  // The starter may come to believe that there is no worker, when one is at work.
  expect(await mine.finish(number, failure(new Error('no worker')))).toBe(false);
  expect((await mine.get(number)).state.name).toBe('running');
  expect(await others.finish(number, success)).toBe(true);
  expect((await mine.get(number)).state).toMatchObject({outcome: success});
});

test('reap does not end an operation that got another worker meanwhile', async () => {
  const starter = home.open(another(1));
  const {number} = await starter.create(newOperation());
  await starter.assign(number, 77);
  let looks = 0;
  const observer = home.open({
    ...another(3),
    // Between the check and the end, another worker is assigned: the operation is still queued.
    fateOf: ({pid}) => {
      if (++looks === 1) void starter.assign(number, 88);
      return pid === 77 ? 'gone' : 'alive';
    },
  });
  expect(await observer.reap()).toEqual([]);
  expect((await observer.get(number)).state.name).toBe('queued');
});

test('a row that cannot be parsed does not affect other rows', async () => {
  const numbers: OperationNumber[] = [];
  for (let at = 0; at < 5; at++) {
    const {number} = await journal.create(newOperation({shared: true}));
    await journal.claim(number);
    await journal.finish(number, success);
    numbers.push(number);
  }
  const db = new DatabaseSync(home.file);
  db.exec(`UPDATE operation SET outcome = '{' WHERE number = 1;
    UPDATE operation SET outcome = '{"status":"SUCCESS"}' WHERE number = 2;
    UPDATE operation SET outcome = NULL WHERE number = 3;
    UPDATE operation SET work = 'x', limits = '[' WHERE number = 4`);
  db.close();
  const {operations} = await journal.list({page: 1, pageSize: 10});
  const statuses = operations.map(({state}) => state.name === 'done' && state.outcome.status);
  expect(statuses).toEqual(['SUCCESS', 'SUCCESS', 'ERROR', 'ERROR', 'ERROR']);
  expect((await journal.get(numbers[1]!)).state).toMatchObject({
    outcome: {
      error: {code: 'JOURNAL_UNAVAILABLE', next: expect.stringContaining('bkp operation forget fullbackup/2')},
    },
  });
  for (const number of numbers) await journal.forget(number);
  expect((await journal.list({page: 1, pageSize: 10})).operations).toEqual([]);
});

test('rows that were written while the clock was past 2255 can be read after the clock is set back', async () => {
  const now = home.clock.nowMicros;
  home.clock.nowMicros = Date.UTC(2300, 0, 1) * 1000;
  const {number} = await journal.create(newOperation());
  await journal.claim(number);
  await journal.report(number, {phase: 'x', bytesDone: 0, itemsDone: 0});
  await journal.finish(number, success);
  home.clock.nowMicros = now;
  const again = home.open();
  expect((await again.list({page: 1, pageSize: 10})).operations[0]?.createdAtMicros).toBe(Date.UTC(2300, 0, 1) * 1000);
  await again.create(newOperation());
});
