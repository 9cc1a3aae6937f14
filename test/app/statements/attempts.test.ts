import {renameSync} from 'node:fs';
import {expect, test} from 'vitest';
import {execute} from '../../../src/app/statements/execute.ts';
import {issuesOf, type Operation, operationId, statusOf} from '../../../src/ops/index.ts';
import {parse} from '../../../src/sql/index.ts';
import type {TestDeps} from '../../helpers/deps.ts';
import {createC, type Desk, openDesk} from '../../helpers/desk.ts';
import {deskDeps} from '../../helpers/desk-deps.ts';

// A BACKUP that is refused before it begins.

type Bench = {
  desk: Desk;
  deps: TestDeps;
  /** Operations whose notifications were sent without a worker. */
  told: Operation[];
  run: (statement: string, options?: {refusedSinceMs?: number}) => Promise<unknown>;
  operations: () => Promise<readonly Operation[]>;
};

function openBench(): Bench {
  const desk = openDesk();
  const deps = deskDeps(desk);
  const told: Operation[] = [];
  deps.tellEnd = async (operation) => void told.push(operation);
  return {
    desk,
    deps,
    told,
    run: (statement, options) => execute(deps, parse(statement)[0]!, options),
    operations: async () => (await (await deps.journal()).list({page: 1, pageSize: 100})).operations,
  };
}

test.each([
  ['the source', 'app.db', 'BACKUP c', 'SOURCE_UNAVAILABLE'],
  ['the store', 'cluster', 'BACKUP c INCREMENTAL', 'STORE_UNAVAILABLE'],
])('a backup that is refused because %s is away is a failed operation, and its listeners are told', async (...of) => {
  const [, missing, statement, code] = of;
  const {desk, told, run, operations} = openBench();
  await run(createC(true));
  renameSync(`${desk.folder}/${missing}`, `${desk.folder}/away`);
  await expect(run(statement)).rejects.toMatchObject({code});
  const [operation] = await operations();
  expect(statusOf(operation!)).toBe('ERROR');
  expect(operation).toMatchObject({subject: {kind: 'collection', name: 'c'}, statement});
  expect(issuesOf(operation!)[0]).toMatchObject({code});
  expect(told.map(operationId)).toEqual([operationId(operation!)]);
});

test('BACKUP DATABASE of a source without files does not ask for a store, and is no operation', async () => {
  const {deps, run, operations} = openBench();
  const {settings} = deps;
  deps.settings = async () => ({...(await settings()), source: 'postgres://bkp@db.internal/shop'});
  await expect(run('BACKUP DATABASE')).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: 'a PostgreSQL source has no files that bkp can read',
  });
  expect(await operations()).toEqual([]);
});

test('BACKUP DATABASE that is refused is a failed operation of the database', async () => {
  const {desk, deps, run, operations} = openBench();
  const {settings} = deps;
  deps.settings = async () => ({
    ...(await settings()),
    objectStore: {address: {kind: 'directory', root: `${desk.folder}/backups`}},
  });
  desk.remove('app.db');
  await expect(run('BACKUP DATABASE')).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
  const [operation] = await operations();
  expect(operation).toMatchObject({
    kind: 'dbbackup',
    subject: {kind: 'database', name: `sqlite::path=${desk.database}`},
  });
  expect(statusOf(operation!)).toBe('ERROR');
});

test.each(['BACKUP d', "BACKUP c WITH (ADOPT='maybe')", 'BACKUP `a/b`'])(
  'a typing mistake is no attempt: %s',
  async (statement) => {
    const {run, operations} = openBench();
    await run(createC(true));
    await expect(run(statement)).rejects.toThrow();
    expect(await operations()).toEqual([]);
  },
);

test('a collection that is gone is a failed backup, if this home has backed it up before', async () => {
  const {run, operations} = openBench();
  await run(createC(true));
  await run('BACKUP c');
  await run('DROP BACKUP COLLECTION c');
  await expect(run('BACKUP c')).rejects.toMatchObject({code: 'COLLECTION_NOT_FOUND'});
  expect((await operations()).map(operationId)).toEqual(['fullbackup/3', 'cleanup/2', 'fullbackup/1']);
});

test('while another backup runs, a refused one is not recorded; beside other operations it is', async () => {
  const {desk, deps, run, operations} = openBench();
  await run(createC(true));
  await run('BACKUP c');
  deps.startWorker = async () => {};
  await run(`COPY BACKUP COLLECTION c TO 'fs::root=${desk.folder}/other'`);
  await expect(run('BACKUP c')).rejects.toMatchObject({code: 'BUSY'});
  const [refused, copy] = await operations();
  expect([refused!.kind, copy!.kind]).toEqual(['fullbackup', 'copy']);
  await (await deps.journal()).requestCancel(copy!.number);
  await run('BACKUP c');
  await expect(run('BACKUP c')).rejects.toMatchObject({code: 'BUSY'});
  expect(await operations()).toHaveLength(4);
});

test('of the refusals of one scheduled run, one is recorded', async () => {
  const {desk, deps, run, operations} = openBench();
  await run(createC(true));
  desk.remove('app.db');
  const nowMs = deps.nowMicros() / 1000;
  for (const refusedSinceMs of [nowMs, nowMs, nowMs + 60_000]) {
    await expect(run('BACKUP c INCREMENTAL OR FULL', {refusedSinceMs})).rejects.toThrow();
  }
  expect(await operations()).toHaveLength(2);
});

test('INCREMENTAL OR FULL takes a full backup where no increment is possible, and says why', async () => {
  const {desk, run, operations} = openBench();
  await run(createC(true));
  const first = await run('BACKUP c INCREMENTAL OR FULL');
  expect(first).toMatchObject({
    notices: [expect.stringMatching(/^a full backup is taken instead of an increment: .* has no full backup/)],
  });
  expect(await run('BACKUP c INCREMENTAL OR FULL')).toMatchObject({notices: []});
  // Only the snapshot shows it, in the worker.
  desk.exec('DROP TABLE _bkp_marks');
  await run('BACKUP c INCREMENTAL OR FULL');
  const [broken, increment, full] = await operations();
  expect([full, increment, broken].map((operation) => statusOf(operation!))).toEqual(Array(3).fill('SUCCESS'));
  expect(full!.kind).toBe('fullbackup');
  expect(issuesOf(full!)[0]!.message).toMatch(/^a full backup was taken instead of an increment: /);
  expect(increment!.kind).toBe('incbackup');
  expect(issuesOf(increment!)).toEqual([]);
  expect(broken!.kind).toBe('incbackup');
  expect(issuesOf(broken!)[0]!.message).toMatch(
    /^a full backup was taken instead of an increment: .*does not know the backup before/,
  );
  expect(JSON.stringify(broken)).toMatch(/c\/\d+Z_full/);
});
