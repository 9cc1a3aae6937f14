import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {fetchQuestDb} from '../../scripts/questdb-jar.js';
import {runBkp} from '../helpers/bkp.ts';
import {QuestDbServer} from './questdb-server.ts';

// Restore drills of a QuestDB, with a real server that verify.questdb.command starts.

let server: QuestDbServer;
beforeAll(async () => {
  server = await QuestDbServer.start();
  await server.sql(
    'CREATE TABLE trades (ts TIMESTAMP, sym SYMBOL INDEX, price DOUBLE, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL',
  );
  await server.sql('CREATE TABLE "odd name" (ts TIMESTAMP, text VARCHAR) TIMESTAMP(ts) PARTITION BY MONTH');
  await server.sql('CREATE TABLE empty (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL');
  await server.sql('CREATE MATERIALIZED VIEW daily AS (SELECT ts, sum(n) AS total FROM trades SAMPLE BY 1d)');
  await server.sql(
    `INSERT INTO trades SELECT (1767225600000000L + x * 60000000L)::TIMESTAMP, rnd_symbol('A', 'B'), rnd_double(), x
     FROM long_sequence(5000)`,
  );
  await server.sql("INSERT INTO \"odd name\" VALUES ('2026-01-01', 'one'), ('2026-02-01', 'two')");
  await server.applied();
});
afterAll(() => server.remove());

const starts = (jar: string) => `java -Xmx256m -p '${jar}' -m io.questdb/io.questdb.ServerMain`;

function openDesk(command: string | undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-drill-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true, maxRetries: 20, retryDelay: 100}));
  const env = {
    BKP_SOURCE: `questdb::root=${server.root};http=${server.url}`,
    BKP_STORE: `fs::root=${join(folder, 'store')}`,
    // A setting of the user's own server must not reach the one of the drill.
    QDB_PG_ENABLED: 'true',
    ...(command === undefined ? {} : {BKP_VERIFY_QUESTDB_COMMAND: command}),
  };
  const home = join(folder, 'home');
  const any = (...args: string[]) => runBkp(args, {home, cwd: folder, env});
  const bkp = async (...args: string[]) => {
    const result = await any(...args);
    if (result.status !== 0) throw new Error(`bkp ${args.join(' ')} ended with ${result.status}:\n${result.stderr}`);
    return result.stdout;
  };
  const scratch = join(home, 'cache/drills');
  return {folder, any, bkp, scratch, scratched: () => (existsSync(scratch) ? readdirSync(scratch) : [])};
}

/** Processes whose command line has this text. */
function running(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

test('a drill starts a server on the restored root, counts, runs queries, and ends it', async () => {
  const desk = openDesk(starts(fetchQuestDb()));
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  const checks = `SELECT count() = 5000 FROM trades;;SELECT sum(n)::LONG FROM trades WHERE sym IN (''A'', ''B'')`;
  await desk.bkp('sql', '--wait', `VERIFY DATABASE WITH (LEVEL='restore', CHECK_SQL='${checks}')`);
  const report = JSON.parse(await desk.bkp('report', '--format', 'json'));
  expect(report).toMatchObject({
    outcome: 'passed',
    faults: [],
    queries: [
      {held: true, found: 'true'},
      {held: true, found: '12502500'},
    ],
    checked: expect.arrayContaining([expect.stringMatching(/^A QuestDB 9\.3\.4 server started on it/)]),
    notChecked: [expect.stringContaining('daily (it is a materialized view)')],
  });
  expect(report.tables).toContainEqual({name: 'trades', rows: 5000, expected: 5000, content: 'equal'});
  expect(report.tables).toContainEqual({name: 'odd name', rows: 2, expected: 2, content: 'equal'});
  expect(report.restoreSeconds).toBeGreaterThan(0);
  expect(desk.scratched()).toEqual([]);
  expect(running(desk.scratch)).toEqual([]);

  const failed = await desk.any(
    ...['sql', '--wait', "VERIFY DATABASE WITH (LEVEL='restore', CHECK_SQL='SELECT count() > 5000 FROM trades')"],
  );
  expect(failed.status).toBe(13);
  expect(failed.stderr).toContain('the query does not hold: SELECT count() > 5000 FROM trades (it returned false)');
  expect(running(desk.scratch)).toEqual([]);
});

test('a query that does not end does not hold, and its server ends', async () => {
  const desk = openDesk(starts(fetchQuestDb()));
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  await desk.bkp('config', 'set', 'verify.query.seconds', '1');
  const query =
    'SELECT count() > 0 FROM long_sequence(1000000000) a CROSS JOIN long_sequence(1000000000) b WHERE a.x + b.x < 0';
  const failed = await desk.any('sql', '--wait', `VERIFY DATABASE WITH (LEVEL='restore', CHECK_SQL='${query}')`);
  expect(failed.stderr).toContain('the query does not hold');
  expect(failed.stderr.replaceAll(/\s+/gu, ' ')).toContain(
    'nothing within 1 seconds; verify.query.seconds of the configuration is the limit',
  );
  expect(failed.status).toBe(13);
  expect(running(desk.scratch)).toEqual([]);
  expect(desk.scratched()).toEqual([]);
});

test('without a command the files are checked, the report says so, and CHECK_SQL is refused at once', async () => {
  const desk = openDesk(undefined);
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  const refused = await desk.any('sql', "VERIFY DATABASE WITH (LEVEL='restore', CHECK_SQL='SELECT 1')");
  expect(refused.status).toBe(12);
  expect(refused.stderr).toContain('verify.questdb.command');
  await desk.bkp('sql', '--wait', "VERIFY DATABASE WITH (LEVEL='restore')");
  const report = JSON.parse(await desk.bkp('report', '--format', 'json'));
  expect(report).toMatchObject({
    outcome: 'passed',
    notChecked: ['No server has opened it: verify.questdb.command is not set.'],
  });
});

test('a worker that is killed leaves no server, and its folder goes with the next command', async () => {
  const desk = openDesk(starts(fetchQuestDb()));
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  await desk.bkp('sql', "VERIFY DATABASE WITH (LEVEL='restore')");
  for (let tries = 0; running(desk.scratch).length === 0 && tries < 300; tries++) await pause(100);
  const {stdout} = await desk.any('operation', 'get', 'last', '--log');
  process.kill(Number(/starts in process (\d+)/.exec(stdout)![1]), 'SIGKILL');
  for (let tries = 0; running(desk.scratch).length > 0 && tries < 100; tries++) await pause(50);
  expect(running(desk.scratch)).toEqual([]);
  const ended = await desk.any('operation', 'get', 'last', '--format', 'json');
  expect(ended.stdout).toContain('WORKER_DEAD');
  expect(desk.scratched()).toEqual([]);
  expect((await desk.any('report')).status).toBe(10);
});

test('a drill that is cancelled ends its server', async () => {
  const desk = openDesk(starts(fetchQuestDb()));
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  await desk.bkp('sql', "VERIFY DATABASE WITH (LEVEL='restore')");
  for (let tries = 0; running(desk.scratch).length === 0 && tries < 300; tries++) await pause(100);
  await desk.bkp('operation', 'cancel', 'last');
  const ended = await desk.any('operation', 'wait', 'last');
  expect(ended.status).toBe(1);
  expect(running(desk.scratch)).toEqual([]);
  expect(desk.scratched()).toEqual([]);
});

test('a command that starts no server is an error without a report', async () => {
  const desk = openDesk('echo no such server; false');
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  const failed = await desk.any('sql', '--wait', "VERIFY DATABASE WITH (LEVEL='restore')");
  expect(failed.status).toBe(12);
  expect(failed.stderr).toContain('no such server');
  expect((await desk.any('report')).status).toBe(10);
});

test('PARTIAL brings the intact tables of a damaged backup, and a server starts on them', async () => {
  const desk = openDesk(undefined);
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  const store = join(desk.folder, 'store');
  const packs = () =>
    readdirSync(join(store, 'packs'), {recursive: true, withFileTypes: true})
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  const before = packs();
  await server.sql('CREATE TABLE later (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL');
  onTestFinished(() => server.sql('DROP TABLE later').then(() => {}));
  await server.sql('INSERT INTO later SELECT x::TIMESTAMP, rnd_long() FROM long_sequence(100000)');
  await server.applied();
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  // Most of what the second backup added is the random numbers of the new table.
  const [added] = packs()
    .filter((file) => !before.includes(file))
    .sort((a, b) => readFileSync(b).length - readFileSync(a).length);
  const bytes = readFileSync(added!);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(added!, bytes);
  const root = join(desk.folder, 'whole');
  expect((await desk.any('restore', '--root', root, '--wait')).status).toBe(13);
  const rescued = join(desk.folder, 'rescued');
  const partial = await desk.any('restore', '--root', rescued, '--partial', '--wait');
  expect(partial.status).toBe(3);
  expect(partial.stderr + partial.stdout).toMatch(/later is missing: db\/later~\d+\/.*\/n\.d: /);
  const started = await QuestDbServer.start({root: rescued});
  onTestFinished(() => started.remove());
  await started.applied();
  expect(await started.sql('SELECT count(), sum(n) FROM trades')).toEqual([[5000, 12502500]]);
  expect(await started.sql('SELECT text FROM "odd name" ORDER BY ts')).toEqual([['one'], ['two']]);
  await expect(started.sql('SELECT count() FROM later')).rejects.toThrow(/later/);
});
