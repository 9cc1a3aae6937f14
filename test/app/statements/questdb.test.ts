import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {checkSource} from '../../../src/app/health/doctor-checks.ts';
import {exportToFile} from '../../../src/app/looking/export.ts';
import {execute} from '../../../src/app/statements/execute.ts';
import {openQuestDbSource} from '../../../src/sources/questdb/index.ts';
import {parse} from '../../../src/sql/index.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';
import {ExecStandIn} from '../../sources/questdb/exec-stand-in.ts';
import {writeRecordedRoot} from '../../sources/questdb/recorded-root.ts';

let folder: string;
let root: string;
let server: ExecStandIn;
let deps: TestDeps;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-'));
  root = join(folder, 'root');
  writeRecordedRoot(root);
  server = await ExecStandIn.start(root);
  deps = testDeps(join(folder, 'home'));
  Object.assign(deps.env, {BKP_SOURCE: `questdb::root=${root};http=${server.url}`});
});
afterEach(async () => {
  deps.close();
  await server.stop();
  rmSync(folder, {recursive: true, force: true});
});

const sql = (text: string) => execute(deps, parse(text)[0]!);

test('CHECKPOINT CREATE and RELEASE are executed by the server', async () => {
  expect((await sql('CHECKPOINT CREATE')).notices).toEqual([expect.stringContaining('held until CHECKPOINT RELEASE')]);
  expect(server.held).toBeDefined();
  await expect(sql('checkpoint create')).rejects.toMatchObject({code: 'SOURCE_LOCKED'});
  await sql('CHECKPOINT RELEASE');
  expect(server.held).toBeUndefined();
  await sql('CHECKPOINT RELEASE');
});

test('CHECKPOINT is refused for an SQLite file and for a stopped server', async () => {
  Object.assign(deps.env, {BKP_SOURCE: join(folder, 'app.db')});
  await expect(sql('CHECKPOINT CREATE')).rejects.toMatchObject({code: 'UNSUPPORTED'});
  Object.assign(deps.env, {BKP_SOURCE: `questdb::root=${root};offline=true`});
  await expect(sql('CHECKPOINT RELEASE')).rejects.toMatchObject({code: 'PRECONDITION'});
});

test('a collection of QuestDB is refused when it is created, and looking for one says what works instead', async () => {
  const expected = {
    code: 'UNSUPPORTED',
    message: 'a QuestDB source has no backup collections',
    next: expect.stringContaining('RESTORE DATABASE TABLE'),
  };
  await expect(sql("CREATE BACKUP COLLECTION c (TABLE trades) WITH (STORAGE='cluster')")).rejects.toMatchObject(
    expected,
  );
  // With a vault, which another source of the profile may have made.
  Object.assign(deps.env, {BKP_SOURCE: join(folder, 'app.db')});
  await sql("CREATE BACKUP COLLECTION c (TABLE trades) WITH (STORAGE='cluster')");
  Object.assign(deps.env, {BKP_SOURCE: `questdb::root=${root};http=${server.url}`});
  await expect(sql("SELECT * FROM backup('trades').trades")).rejects.toMatchObject(expected);
  await expect(
    exportToFile(deps, {from: {collection: 'trades'}, file: 'a.csv', format: 'csv', tables: []}),
  ).rejects.toMatchObject(expected);
});

const options = {
  hold: 'dbbackup/7',
  signal: new AbortController().signal,
  notice: () => undefined,
  nowMicros: () => Date.now() * 1000,
};

test('doctor reports a wrong root and a read-only server, and releases a dead process’s checkpoint', async () => {
  const wrong = async (repair = false) => (await checkSource(deps, {repair})).filter(({ok}) => !ok);
  expect(await wrong()).toEqual([]);
  server.ownRoot = join(folder, 'other');
  mkdirSync(join(server.ownRoot, 'db'), {recursive: true});
  server.isReadOnly = true;
  expect(await wrong()).toMatchObject([
    {what: 'source: server', detail: expect.stringContaining('is not the root of the server')},
    {what: 'source: server', detail: expect.stringContaining('http.security.readonly is true')},
  ]);
  server.ownRoot = root;
  server.isReadOnly = false;
  // A dead process of this machine whose operation was in another home's journal.
  const {systemProcesses} = await import('../../../src/lib/processes.ts');
  const dead = {...systemProcesses, self: () => ({...systemProcesses.self(), pid: 2 ** 22 + 1, startedAt: '1'})};
  await openQuestDbSource({root, http: server.url}, dead).freeze(options);
  expect(await wrong()).toMatchObject([
    {detail: expect.stringContaining('dbbackup/7, whose process has ended'), next: expect.stringContaining('--repair')},
  ]);
  expect(await wrong(true)).toEqual([]);
  expect(server.held).toBeUndefined();
});
