import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {systemProcesses} from '../../src/lib/processes.ts';
import type {DatabaseMoment, RestoredFindings} from '../../src/sources/index.ts';
import {endLeftoverServer, openQuestDbSource, openRestoredQuestDb} from '../../src/sources/questdb/index.ts';
import {copyDatabase} from '../servers/questdb-copy.ts';
import {type StandInRoot, withStandInRoot} from '../sources/questdb/stand-in-root.ts';

// What a drill finds in a restored root: without a server, and with one that a stand-in plays.

let place: StandInRoot;
withStandInRoot((made) => {
  place = made;
});

async function restored(): Promise<{root: string; moment: DatabaseMoment; examine: () => Promise<RestoredFindings>}> {
  const root = join(place.folder, 'restored', 'root');
  const moment = await copyDatabase(openQuestDbSource({root: place.root, http: place.server.url}), root);
  const database = openRestoredQuestDb(root);
  return {root, moment, examine: () => database.examine({moment, signal: new AbortController().signal})};
}

test('a restored root has all files that its control files name, and the rows that the backup recorded', async () => {
  const {examine, moment} = await restored();
  const found = await examine();
  expect(found.faults).toEqual([]);
  expect(found.checked).toEqual([
    expect.stringContaining('7 tables'),
    expect.stringMatching(/All \d+ files of the \d+/),
  ]);
  expect(found.notChecked).toEqual(['No server has opened it: verify.questdb.command is not set.']);
  expect(found.tables.map(({name, rows}) => ({name, rows})).sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
    moment.tables,
  );
});

test('every file of a partition that is missing or too short is found', async () => {
  const {root, examine} = await restored();
  const columns = readdirSync(join(root, 'db'), {recursive: true, encoding: 'utf8'})
    .map((name) => join(root, 'db', name))
    .filter((file) => /\.(d|i|parquet)(\.\d+)?$/.test(file) && !/txn_seq|_index\.d|_upgrade\.d/.test(file))
    .filter((file) => statSync(file).isFile());
  expect(columns.length).toBeGreaterThan(60);
  for (const file of columns) {
    const bytes = readFileSync(file);
    rmSync(file);
    expect((await examine()).faults, `${file} is missing`).not.toEqual([]);
    // Zeros may follow the rows of an open partition.
    const used = bytes.findLastIndex((byte) => byte !== 0);
    if (/\.(d|i)(\.\d+)?$/.test(file) && used > 8) {
      writeFileSync(file, bytes);
      truncateSync(file, 8);
      expect((await examine()).faults, `${file} is short`).not.toEqual([]);
    }
    writeFileSync(file, bytes);
  }
  expect((await examine()).faults).toEqual([]);
});

test('a table that is missing, or has other rows than the backup recorded, is found', async () => {
  const {root, moment} = await restored();
  const signal = new AbortController().signal;
  const examine = (tables: DatabaseMoment['tables']) =>
    openRestoredQuestDb(root).examine({moment: {...moment, tables}, signal});
  const more = moment.tables.map(({name, rows = 0}) => ({name, rows: name === 'trades' ? rows + 1 : rows}));
  expect((await examine(more)).faults).toEqual([expect.stringMatching(/^table trades has \d+ rows/)]);
  expect((await examine([...moment.tables, {name: 'lost', rows: 0}])).faults).toEqual(['table lost is missing']);
});

const ephemeral = join(import.meta.dirname, '../../src/sources/questdb/server/ephemeral.ts');
const standIn = join(import.meta.dirname, 'children/questdb-stand-in.ts');
/** @param mode see the stand-in */
const command = (mode: string) => ({
  line: `'${process.execPath}' '${standIn}' ${mode}`,
  env: {PATH: process.env.PATH},
});

async function served(mode: string) {
  const {root, moment} = await restored();
  const database = openRestoredQuestDb(root, command(mode));
  try {
    const found = await database.examine({moment, signal: AbortSignal.timeout(60_000)});
    return {found, pid: pidOf(root)};
  } finally {
    await database.close();
    expect(isAlive(pidOf(root))).toBe(false);
  }
}

const pidOf = (root: string) => (JSON.parse(readFileSync(join(root, '../server.json'), 'utf8')) as {pid: number}).pid;
const isAlive = (pid: number) => systemProcesses.identify(pid) !== undefined;

test('a server that counts the rows of the backup passes; it is started for this root alone, and ended', async () => {
  const {found} = await served('good');
  expect(found.faults).toEqual([]);
  expect(found.checked).toContainEqual(expect.stringMatching(/^A QuestDB 9.3.4 server started on it, opened its 7/));
  expect(found.notChecked).toEqual([expect.stringMatching(/few \(it is a view\)/)]);
});

test.each([
  ['counts', /^the server counts \d+ rows of trades, and the backup recorded \d+$/],
  ['suspends', /^the server suspends table trades/],
  ['refuses', /^the server cannot read table trades: an error: no such table$/],
  ['ends on data', /^a QuestDB server does not start on it, and prints: cannot open the root$/],
])('a server that %s fails the drill', async (mode, fault) => {
  const {found} = await served(mode);
  expect(found.faults).toEqual([expect.stringMatching(fault)]);
});

test.each([
  ['ends', /starts no server, not even on an empty root/],
  ['is elsewhere', /starts a server on another root/],
])('a command that %s proves nothing about the backup', async (mode, message) => {
  await expect(served(mode)).rejects.toMatchObject({code: 'PRECONDITION', message: expect.stringMatching(message)});
});

test('the server ends with the process that started it, and by its note when that failed', async () => {
  const {root} = await restored();
  const script = `
    const {EphemeralServer} = await import('${ephemeral}');
    await EphemeralServer.start(${JSON.stringify(command('good'))}, '${root}', new AbortController().signal);
    process.stdout.write('ready');
    setInterval(() => {}, 1000);`;
  for (const withWatchdog of [true, false]) {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(parent.stdout, 'data');
    const pid = pidOf(root);
    expect(isAlive(pid)).toBe(true);
    if (!withWatchdog) {
      const watchdog = readdirSync('/proc').find(
        (name) => /^\d+$/.test(name) && commandLine(name).includes(`bkp-watchdog\0${pid}\0`),
      );
      process.kill(Number(watchdog), 'SIGKILL');
    }
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    if (!withWatchdog) {
      expect(isAlive(pid)).toBe(true);
      endLeftoverServer(join(root, '..'));
    }
    for (let tries = 0; isAlive(pid) && tries < 100; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAlive(pid)).toBe(false);
  }
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
