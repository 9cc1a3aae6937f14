import {mkdirSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {runOperationCancel} from '../../../src/commands/operation/cancel.ts';
import {runOperationForget} from '../../../src/commands/operation/forget.ts';
import {runOperationGet} from '../../../src/commands/operation/get.ts';
import {runOperationList} from '../../../src/commands/operation/list.ts';
import {runOperationThrottle} from '../../../src/commands/operation/throttle.ts';
import {runOperationWait} from '../../../src/commands/operation/wait.ts';
import {runOperationWatch} from '../../../src/commands/operation/watch.ts';
import {type Journal, openJournal} from '../../../src/ops/index.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';
import {eventually} from '../../helpers/eventually.ts';
import {aBackup, addFailed, addRunning, addSucceeded, orderAt, placeIn} from '../../helpers/journal.ts';

let deps: TestDeps;
let journal: Journal;
let remove: () => void;

beforeEach(async () => {
  const temporary = temporaryHome();
  remove = temporary.remove;
  deps = testDeps(temporary.home);
  journal = await deps.journal();
});
afterEach(() => {
  deps.close();
  remove();
});

const list = async (options: Partial<Parameters<typeof runOperationList>[1]> = {}) => {
  const before = deps.out().length;
  await runOperationList(deps, {pageSize: 10, page: 1, format: 'json', ...options});
  const {operations, nextPageToken} = JSON.parse(deps.out().slice(before));
  return {ids: operations.map(({id}: {id: string}) => id), nextPageToken};
};

test('list prints newest first, page after page; the last token is 0', async () => {
  for (let at = 0; at < 3; at += 1) await addSucceeded(journal);
  expect(await list({pageSize: 2})).toEqual({ids: ['fullbackup/3', 'fullbackup/2'], nextPageToken: '2'});
  expect(await list({pageSize: 2, page: 2})).toEqual({ids: ['fullbackup/1'], nextPageToken: '0'});
  expect(await list({page: 99})).toEqual({ids: [], nextPageToken: '0'});
  expect(await list({pageSize: 0})).toEqual({ids: ['fullbackup/3'], nextPageToken: '2'});
});

test('list incbackup means all backups, other kinds only themselves, no kind all operations', async () => {
  await addSucceeded(journal);
  await addSucceeded(journal, {kind: 'incbackup'});
  await addSucceeded(journal, {kind: 'restore'});
  expect((await list({kind: 'incbackup'})).ids).toEqual(['incbackup/2', 'fullbackup/1']);
  expect((await list({kind: 'fullbackup'})).ids).toEqual(['fullbackup/1']);
  expect((await list()).ids).toEqual(['restore/3', 'incbackup/2', 'fullbackup/1']);
});

test('get prints the operation and exits with its status', async () => {
  const get = (number: number) => runOperationGet(deps, {ref: {number} as never, format: 'pretty', log: false});
  await addSucceeded(journal);
  await addFailed(journal);
  await addRunning(journal);
  expect([await get(1), await get(2), await get(3)]).toEqual([0, 1, 0]);
  expect(deps.out()).toMatch(
    /fullbackup\/1 .*SUCCESS.*fullbackup\/2 .*ERROR.*the store is full.*fullbackup\/3 .*PROGRESS/s,
  );
  await expect(get(9999)).rejects.toMatchObject({code: 'OPERATION_NOT_FOUND'});
});

test('get --log prints the file unchanged; before it exists, stderr says so', async () => {
  const {logFile} = await addRunning(journal);
  const log = () => runOperationGet(deps, {ref: {last: true}, format: 'pretty', log: true});
  expect(await log()).toBe(0);
  expect([deps.out(), deps.err()]).toEqual(['', 'fullbackup/1 has no log yet\n']);
  mkdirSync(dirname(logFile), {recursive: true});
  writeFileSync(logFile, 'one\ntwo\n');
  expect(await log()).toBe(0);
  expect(deps.out()).toBe('one\ntwo\n');
});

test('wait prints the operations that ended, in the order of the arguments, and fails if one failed', async () => {
  const first = await addRunning(journal);
  await addFailed(journal);
  setTimeout(() => journal.finish(first.number, {status: 'SUCCESS', result: {}}), 50);
  const refs = [{number: 1}, {number: 2}] as never;
  expect(await runOperationWait(deps, {refs, format: 'json'})).toBe(1);
  const lines = deps.out().trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(['fullbackup/1', 'fullbackup/2']);
});

test('a partial operation is kept as such, and its exit status is 3 unless another one failed', async () => {
  const {number} = await addRunning(journal);
  const missing = [{name: 'orders', why: 'a chunk is damaged'}];
  await journal.finish(number, {status: 'PARTIAL', result: {rows: 3, missing}});
  await addFailed(journal);
  const waitFor = (...numbers: number[]) =>
    runOperationWait(deps, {refs: numbers.map((number) => ({number})) as never, format: 'pretty'});
  expect([await waitFor(1), await waitFor(2), await waitFor(1, 2)]).toEqual([3, 1, 1]);
  expect(deps.out()).toMatch(/fullbackup\/1 .*PARTIAL.*orders is missing: a chunk is damaged/s);
  expect((await journal.get(number)).state).toMatchObject({outcome: {status: 'PARTIAL', result: {missing}}});
});

test('wait ends after the timeout or on Ctrl-C, and the operation continues', async () => {
  await addRunning(journal);
  const wait = (timeoutMs: number) => runOperationWait(deps, {refs: [{last: true}], timeoutMs, format: 'json'});
  await expect(wait(20)).rejects.toMatchObject({code: 'TIMEOUT'});
  setTimeout(deps.interrupt, 20);
  await expect(wait(60_000)).rejects.toMatchObject({code: 'INTERRUPTED'});
  expect((await journal.get(1 as never)).state).toMatchObject({name: 'running', cancelRequested: false});
});

test('cancel and forget print nothing', async () => {
  await addRunning(journal);
  const ref = {last: true} as const;
  expect(await runOperationCancel(deps, {ref})).toBe(0);
  expect((await journal.get(1 as never)).state).toMatchObject({cancelRequested: true});
  await expect(runOperationForget(deps, {ref})).rejects.toMatchObject({code: 'PRECONDITION'});
  await journal.finish(1 as never, {status: 'CANCELLED', result: {}});
  expect(await runOperationCancel(deps, {ref})).toBe(0);
  expect(await runOperationForget(deps, {ref})).toBe(0);
  await expect(runOperationForget(deps, {ref})).rejects.toMatchObject({code: 'OPERATION_NOT_FOUND'});
  expect(deps.out() + deps.err()).toBe('');
});

test('cancel of an operation on another host prints how it ends if its worker is dead', async () => {
  const machine = {name: 'db2', id: 'machine of db2', cards: '00:00:5e:00:53:02'};
  const identity = {pid: 12, startedAt: '1', boot: 'boot of db2', space: 'pid:[4026531836]', machine};
  const {journalFile: file, logsDir} = deps.home;
  const nowMicros = () => Date.now() * 1000;
  const processes = {self: () => identity, identify: () => identity, fateOf: () => 'alive' as const};
  const there = openJournal({file, logsDir, nowMicros, processes});
  const {number} = await addRunning(there);
  there.close();
  await runOperationCancel(deps, {ref: {number}});
  expect(deps.err()).toMatch(
    /^fullbackup\/1 runs on db2 \(process 12\), last report .*\nnext: on db2, .*bkp operation list .* 15 min/,
  );
  expect(deps.out()).toBe('');
});

const bucket = placeIn('s3', {limits: {uploadBytesPerSecond: 1_000_000, downloadBytesPerSecond: 2_000_000}});

test('throttle prints nothing; get shows the limits while the operation runs', async () => {
  const {number} = await addRunning(journal, {work: orderAt(bucket)});
  const ref = {last: true} as const;
  const get = async (format: 'json' | 'pretty') => {
    const before = deps.out().length;
    await runOperationGet(deps, {ref, format, log: false});
    return deps.out().slice(before);
  };
  expect(JSON.parse(await get('json'))).not.toHaveProperty('limits');
  const shown = deps.out();
  expect(await runOperationThrottle(deps, {ref, change: {uploadBytesPerSecond: null}})).toBe(0);
  expect([deps.out(), deps.err()]).toEqual([shown, '']);
  expect(JSON.parse(await get('json')).limits).toEqual({
    uploadBytesPerSecond: null,
    downloadBytesPerSecond: 2_000_000,
  });
  expect(await get('pretty')).toContain('Bounds: upload off, download 1.9 MiB/s');
  await journal.finish(number, {status: 'SUCCESS', result: {}});
  expect(JSON.parse(await get('json'))).not.toHaveProperty('limits');
  expect(await get('pretty')).not.toContain('Bounds');
  await expect(runOperationThrottle(deps, {ref, change: {}})).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('is done already'),
  });
});

test('throttle is refused for an operation on directories, but not for a copy to an object store', async () => {
  const directory = placeIn({kind: 'directory', root: '/r'});
  const change = {uploadBytesPerSecond: 20_000};
  await addRunning(journal, {work: orderAt(directory)});
  await expect(runOperationThrottle(deps, {ref: {last: true}, change})).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'fullbackup/1 uses a directory, not an object store',
  });
  await addRunning(journal, {work: orderAt(directory, {do: 'copy', to: bucket})});
  await runOperationThrottle(deps, {ref: {last: true}, change});
  expect((await journal.open()).map(({limits}) => limits)).toEqual([
    undefined,
    {uploadBytesPerSecond: 20_000, downloadBytesPerSecond: 2_000_000},
  ]);
  await expect(runOperationThrottle(deps, {ref: {number: 99 as never}, change})).rejects.toMatchObject({
    exitStatus: 10,
  });
});

test('throttle of an operation that was refused before it began says that it is done', async () => {
  await addFailed(journal, {work: {refused: true}});
  await expect(runOperationThrottle(deps, {ref: {last: true}, change: {}})).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('is done already'),
  });
});

test('watch without a terminal prints lines until all is done, including operations that start later', async () => {
  const first = await addRunning(journal);
  const watching = runOperationWatch(deps, {refs: []});
  await eventually(() => expect(deps.out()).toContain('fullbackup/1 Preparing\n'));
  const second = await addRunning(journal, {kind: 'incbackup'});
  await eventually(() => expect(deps.out()).toContain('incbackup/2 Preparing\n'));
  await journal.finish(first.number, {status: 'SUCCESS', result: {}});
  await journal.finish(second.number, {status: 'CANCELLED', result: {}});
  expect(await watching).toBe(1);
  expect(deps.out().replace(/^\S+ /gm, '')).toMatch(/^fullbackup\/1 Preparing\nincbackup\/2 Preparing\n/);
  expect(deps.out()).toMatch(/fullbackup\/1 SUCCESS\n/);
  expect(deps.out()).toMatch(/incbackup\/2 CANCELLED\n/);
});

test('watch stops waiting for an operation that is forgotten', async () => {
  await addRunning(journal);
  const {number} = await addRunning(journal);
  const watching = runOperationWatch(deps, {refs: [{number}]});
  await eventually(() => expect(deps.out()).toContain('fullbackup/2 Preparing\n'));
  await journal.finish(number, {status: 'SUCCESS', result: {}});
  await journal.forget(number);
  expect(await watching).toBe(0);
});

test('leaving watch prints on stderr what continues, or that nothing is running', async () => {
  expect(await runOperationWatch(deps, {refs: []})).toBe(0);
  expect(deps.err()).toBe('no operation is running\n');
  const {number} = await journal.create(aBackup());
  const watching = runOperationWatch(deps, {refs: [{number}]});
  await eventually(() => expect(deps.out()).toContain('fullbackup/1'));
  deps.interrupt();
  expect(await watching).toBe(0);
  expect(deps.err()).toContain('fullbackup/1 continues in the background.\n');
});

test('an invalid order is an error where it is needed; the operation can still be listed and forgotten', async () => {
  const {number} = await addRunning(journal, {work: orderAt({...bucket, store: {kind: 'tape'}})});
  await expect(runOperationThrottle(deps, {ref: {number}, change: {}})).rejects.toMatchObject({
    code: 'JOURNAL_UNAVAILABLE',
    cause: expect.stringContaining('place.store'),
  });
  await runOperationGet(deps, {ref: {number}, format: 'json', log: false});
});
