import {mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {CommandDeps} from '../../../src/commands/deps.ts';
import {command} from '../../../src/commands/metrics/index.ts';
import {runMetrics} from '../../../src/commands/metrics/run.ts';
import {BkpError, ExitStatus} from '../../../src/errors/index.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';
import {addFailed, addRunning, addSucceeded, orderAt, placeIn} from '../../helpers/journal.ts';
import {readMetrics, sampleOf} from '../../helpers/prometheus.ts';

let home: string;
let remove: () => void;
let deps: TestDeps;

beforeEach(() => {
  ({home, remove} = temporaryHome());
  deps = testDeps(home);
});
afterEach(() => {
  deps.close();
  remove();
});

test('metrics have the journal’s counts and the last operation of each kind and collection', async () => {
  const journal = await deps.journal();
  const name = 'two\nlines, "quotes" and \\';
  for (let at = 0; at < 120; at++)
    await addSucceeded(journal, {kind: 'verify', shared: true, subject: {kind: 'collection', name: 'old'}});
  await addSucceeded(journal, {subject: {kind: 'collection', name: name}});
  await addFailed(journal, {subject: {kind: 'collection', name: name}});
  await addFailed(journal, {kind: 'incbackup', subject: {kind: 'collection', name: name}});
  await addSucceeded(journal, {kind: 'incbackup', subject: {kind: 'collection', name: name}});
  await addRunning(journal, {kind: 'incbackup', subject: {kind: 'collection', name: name}});
  await addSucceeded(journal, {kind: 'cleanup', subject: {kind: 'store', name: 'fs::root=/x'}});
  expect(await runMetrics(deps, {})).toBe(ExitStatus.done);
  const read = readMetrics(deps.out());
  const count = (kind: string, status: string) => sampleOf(read, 'bkp_operations', {kind, status});
  expect([count('verify', 'success'), count('fullbackup', 'success'), count('fullbackup', 'error')]).toEqual([
    120, 1, 1,
  ]);
  expect([count('incbackup', 'running'), count('cleanup', 'success'), count('copy', 'queued')]).toEqual([1, 1, 0]);
  const collection = (kind: string) => ({profile: 'default', collection: name, kind});
  expect(sampleOf(read, 'bkp_operation_last_succeeded', collection('fullbackup'))).toBe(0);
  expect(sampleOf(read, 'bkp_operation_last_succeeded', collection('incbackup'))).toBe(1);
  const ended = (await (await deps.journal()).list({page: 1, pageSize: 3})).operations[2]!.state;
  expect(sampleOf(read, 'bkp_operation_last_success_timestamp_seconds', collection('incbackup'))).toBe(
    ended.name === 'done' ? ended.endedAtMicros / 1e6 : undefined,
  );
  expect(sampleOf(read, 'bkp_operation_last_failure_timestamp_seconds', collection('fullbackup'))).toBeGreaterThan(
    1.7e9,
  );
  expect(sampleOf(read, 'bkp_operation_open_seconds', collection('incbackup'))).toBeGreaterThanOrEqual(0);
  // A cleanup of a store has no collection.
  expect(read.get('bkp_operation_last_succeeded')!.samples).toHaveLength(3);
});

test('metrics of database backups have the source as a label; VERIFY DATABASE has none', async () => {
  const journal = await deps.journal();
  const database = 'questdb::root=/var/lib/questdb;http=http://127.0.0.1:9000';
  await addSucceeded(journal, {kind: 'dbbackup', subject: {kind: 'database', name: database}});
  await addFailed(journal, {kind: 'dbbackup', subject: {kind: 'database', name: database}});
  await addFailed(journal, {kind: 'verify', shared: true, subject: {kind: 'databases'}});
  await addSucceeded(journal, {kind: 'dbrestore', subject: {kind: 'target', name: '/srv/drill'}});
  await runMetrics(deps, {});
  const read = readMetrics(deps.out());
  expect(sampleOf(read, 'bkp_operations', {kind: 'dbrestore', status: 'success'})).toBe(1);
  const ofIt = {profile: 'default', database, kind: 'dbbackup'};
  expect(sampleOf(read, 'bkp_operation_last_succeeded', ofIt)).toBe(0);
  expect(sampleOf(read, 'bkp_operation_last_success_duration_seconds', ofIt)).toBeGreaterThanOrEqual(0);
  expect(sampleOf(read, 'bkp_operation_last_failure_timestamp_seconds', ofIt)).toBeGreaterThan(1.7e9);
  const {samples} = read.get('bkp_operation_last_succeeded')!;
  expect(samples.map(({labels}) => labels)).toEqual([ofIt, {profile: 'default', kind: 'verify'}]);
});

test('a store without a vault is left out, or unreachable if operations wrote backups there', async () => {
  const journal = await deps.journal();
  const {number} = await addSucceeded(journal, {work: orderAt(placeIn({kind: 'directory', root: '/elsewhere'}))});
  expect(await runMetrics(deps, {})).toBe(ExitStatus.done);
  expect(readMetrics(deps.out()).has('bkp_store_reachable')).toBe(false);
  await journal.forget(number);
  await addSucceeded(journal, {work: orderAt(placeIn({kind: 'directory', root: deps.home.clusterDir}))});
  expect(await runMetrics(deps, {textfile: join(home, 'm.prom')})).toBe(ExitStatus.partial);
  expect(sampleOf(readMetrics(readFileSync(join(home, 'm.prom'), 'utf8')), 'bkp_store_reachable')).toBe(0);
  expect(deps.err()).toMatch(/^bkp: there is no vault in fs::root=.*\nnext: .*mounted/);
});

test('with an unreachable store all other metrics are printed, and stderr has the reason', async () => {
  await addSucceeded(await deps.journal(), {subject: {kind: 'collection', name: 'c'}});
  mkdirSync(deps.home.clusterDir);
  const away: CommandDeps = {
    ...deps,
    openStore: async () => {
      throw new BkpError('STORE_UNAVAILABLE', 'the server is away', {cause: 'ECONNREFUSED'});
    },
  };
  expect(await runMetrics(away, {})).toBe(ExitStatus.partial);
  const read = readMetrics(deps.out());
  expect(sampleOf(read, 'bkp_store_reachable', {storage: 'cluster'})).toBe(0);
  expect(read.has('bkp_store_collections')).toBe(false);
  expect(sampleOf(read, 'bkp_operation_last_succeeded', {collection: 'c'})).toBe(1);
  expect(deps.err()).toBe('bkp: the server is away (UNAVAILABLE)\ncause: ECONNREFUSED\n');
});

test('--textfile refuses ~, which the shell has not expanded', async () => {
  await expect(runMetrics(deps, {textfile: '~/m.prom'})).rejects.toMatchObject({code: 'USAGE'});
});

test.skipIf(process.platform === 'win32')('--textfile: whole, readable by all, and nothing beside it', async () => {
  const folder = join(home, 'textfile');
  const file = join(folder, 'bkp.prom');
  mkdirSync(folder);
  writeFileSync(file, 'old', {mode: 0o600});
  const umask = process.umask(0o077);
  try {
    expect(await runMetrics(deps, {textfile: file})).toBe(ExitStatus.done);
  } finally {
    process.umask(umask);
  }
  expect(readMetrics(readFileSync(file, 'utf8')).size).toBeGreaterThan(0);
  expect(statSync(file).mode & 0o777).toBe(0o644);
  expect(readdirSync(folder)).toEqual(['bkp.prom']);
  expect(deps.out()).toBe('');

  rmSync(file);
  mkdirSync(file);
  await expect(runMetrics(deps, {textfile: file})).rejects.toMatchObject({code: 'FILE_UNAVAILABLE', exitStatus: 1});
  expect(readdirSync(folder)).toEqual(['bkp.prom']);
  await expect(runMetrics(deps, {textfile: join(home, 'nosuch', 'bkp.prom')})).rejects.toMatchObject({
    code: 'FILE_UNAVAILABLE',
  });
});

test('arguments are parsed into options without running anything', async () => {
  const seen: unknown[] = [];
  const run = async (_: CommandDeps, options: unknown) => {
    seen.push(options);
    return ExitStatus.done;
  };
  await command(deps, run).parseAsync([], {from: 'user'});
  await command(deps, run).parseAsync(['--textfile', 'x.prom'], {from: 'user'});
  expect(seen).toEqual([{}, {textfile: 'x.prom'}]);
});
