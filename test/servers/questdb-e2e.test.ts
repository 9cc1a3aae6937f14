import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {newKey} from '../../src/vault/index.ts';
import {runBkp} from '../helpers/bkp.ts';
import {holding} from '../helpers/canaries.ts';
import {startFakeS3} from '../helpers/fake-s3.ts';
import {readerPath} from '../reader/run.ts';
import {QuestDbServer} from './questdb-server.ts';

// bkp as a process with a real QuestDB: from the first backup to a server that starts on the restored root.

let server: QuestDbServer;
beforeAll(async () => {
  server = await QuestDbServer.start();
  await server.sql(
    'CREATE TABLE trades (ts TIMESTAMP, sym SYMBOL, price DOUBLE, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL',
  );
});
afterAll(() => server.remove());

function openDesk(env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-desk-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true, maxRetries: 20, retryDelay: 100}));
  const home = join(folder, 'home');
  const common = {
    BKP_SOURCE: `questdb::root=${server.root};http=${server.url}`,
    BKP_STORE: `fs::root=${join(folder, 'store')}`,
    ...env,
  };
  const bkp = async (...args: string[]) => {
    const result = await runBkp(args, {home, cwd: folder, env: common});
    if (result.status !== 0) throw new Error(`bkp ${args.join(' ')} ended with ${result.status}:\n${result.stderr}`);
    return result.stdout;
  };
  const select = async (statement: string) =>
    (await bkp('sql', '--format', 'json', statement))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {folder, bkp, select, any: (...args: string[]) => runBkp(args, {home, cwd: folder, env: common})};
}

let rows = 0;
/** Adds consecutively numbered rows, a few of them days late. */
async function append(count: number): Promise<void> {
  await server.sql(
    `INSERT INTO trades SELECT (1767225600000000L + (x + ${rows}) * 60000000L
       - CASE WHEN x % 50 = 0 THEN 90000000000L ELSE 0L END)::TIMESTAMP,
       rnd_symbol('A', 'B', 'C'), rnd_double(), x + ${rows} FROM long_sequence(${count})`,
  );
  rows += count;
  await server.applied();
}

const counted = (of: QuestDbServer) => of.sql('SELECT count(), sum(n), count_distinct(n) FROM trades');

async function startOn(root: string): Promise<QuestDbServer> {
  const started = await QuestDbServer.start({root});
  onTestFinished(() => started.remove());
  await started.applied();
  return started;
}

test('each of five backups restores to a server with exactly the rows of that backup', async () => {
  const desk = openDesk();
  expect(await desk.select('SELECT backup_instance_name')).toEqual([{backup_instance_name: null}]);
  const moments: {timestamp: string; content: unknown}[] = [];
  for (let number = 1; number <= 5; number++) {
    await append(2000);
    if (number === 3) await server.sql('UPDATE trades SET price = 0 WHERE n % 97 = 0');
    await server.applied();
    const content = await counted(server);
    const [started] = await desk.select('BACKUP DATABASE');
    await desk.bkp('operation', 'wait', 'last');
    moments.push({timestamp: started!.backup_timestamp as string, content});
  }
  expect(await desk.select("SELECT count(*) AS n FROM backups() WHERE status = 'backup complete'")).toEqual([{n: 5}]);
  expect(await desk.select('SELECT in_progress FROM checkpoint_status()')).toEqual([{in_progress: false}]);
  for (const [at, {timestamp, content}] of moments.entries()) {
    const root = join(desk.folder, `restored-${at}`);
    await desk.bkp('sql', '--wait', `RESTORE DATABASE TO TIMESTAMP '${timestamp}' INTO '${root}'`);
    const restored = await startOn(root);
    expect(await counted(restored), timestamp).toEqual(content);
    await restored.remove();
  }
});

test('an encrypted vault shows nothing of a database, and bkp and bkp-reader restore it to a server', async () => {
  const key = newKey().code;
  const desk = openDesk({BKP_PASSWORD: key});
  await append(2000);
  await server.sql(`INSERT INTO trades VALUES ('2026-03-01T00:00:00Z', 'canarysymbol', 1.5, ${++rows})`);
  await server.applied();
  for (const _ of ['full', 'next']) await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  await desk.bkp('sql', '--wait', "VERIFY DATABASE WITH (LEVEL='data')");
  const content = await counted(server);
  const store = join(desk.folder, 'store');
  expect(holding(store, ['trades', 'canarysymbol'])).toEqual([]);
  const root = join(desk.folder, 'restored');
  await desk.bkp('sql', '--wait', `RESTORE DATABASE INTO '${root}'`);
  expect(await counted(await startOn(root))).toEqual(content);
  const kit = join(desk.folder, 'kit.txt');
  await desk.bkp('--store', 's3', 'vault', 'key', 'add', '--kit', kit);
  const [name] = readdirSync(join(store, 'backup'));
  const byReader = join(desk.folder, 'by-reader');
  execFileSync(process.execPath, [readerPath, store, name!, '--to', byReader, '--kit', kit], {stdio: 'pipe'});
  expect(await counted(await startOn(byReader))).toEqual(content);
  const refused = await runBkp(['sql', 'BACKUP DATABASE'], {
    home: join(desk.folder, 'home'),
    env: {BKP_SOURCE: `questdb::root=${server.root};http=${server.url}`, BKP_STORE: `fs::root=${store}`},
  });
  expect(refused).toMatchObject({status: 12, stderr: expect.stringContaining('is encrypted, and no password is set')});
  expect(await server.sql('SELECT in_progress FROM checkpoint_status()')).toEqual([[false]]);
});

test('a worker that is killed leaves a checkpoint, and the next command releases it', async () => {
  const slow = await startFakeS3();
  onTestFinished(() => slow.close());
  const keys = 'region=us-east-1;access_key_id=a;secret_access_key=b;';
  const desk = openDesk({
    BKP_STORE: `s3::bucket=${slow.bucket};endpoint=${slow.endpoint};${keys}`,
  });
  await append(20_000);
  // The upload of the first pack hangs, so the worker stops while it holds the checkpoint or just after.
  slow.fault({call: 'PutObject', key: /packs\//, times: 100}, {kind: 'hang'});
  await desk.select('BACKUP DATABASE');
  const pid = await workerPid(desk);
  process.kill(pid, 'SIGKILL');
  for (let tries = 0; tries < 40; tries++) {
    const {stdout} = await desk.any('operation', 'get', 'last', '--format', 'json');
    if (stdout.includes('ABORTED')) break;
    await pause(250);
  }
  expect(await server.sql('SELECT in_progress FROM checkpoint_status()')).toEqual([[false]]);
  expect((await desk.select('SELECT status FROM backups()')).at(-1)).toEqual({status: 'backup failed'});
});

/** From the log of the worker. */
async function workerPid(desk: ReturnType<typeof openDesk>): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const {stdout} = await desk.any('operation', 'get', 'last', '--log');
    const pid = /starts in process (\d+)/.exec(stdout)?.[1];
    if (pid !== undefined) return Number(pid);
    await pause(100);
  }
  throw new Error('the worker did not start');
}

test('the checkpoint of another program is reported and stays', async () => {
  const desk = openDesk();
  await server.sql('CHECKPOINT CREATE');
  try {
    const refused = await desk.any('sql', '--wait', 'BACKUP DATABASE');
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toMatch(/checkpoint/i);
    expect(await server.sql('SELECT in_progress FROM checkpoint_status()')).toEqual([[true]]);
    const {stdout} = await desk.any('doctor', '--format', 'json');
    expect(stdout).toContain('another program');
  } finally {
    await server.sql('CHECKPOINT RELEASE');
  }
});

test('a single table can be restored, and a target with data is refused', async () => {
  const desk = openDesk();
  await server.sql('CREATE TABLE notes (ts TIMESTAMP, text VARCHAR) TIMESTAMP(ts) PARTITION BY MONTH WAL');
  await server.sql("INSERT INTO notes VALUES ('2026-01-01', 'one'), ('2026-02-01', 'two')");
  await server.applied();
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  const planned = await desk.any('restore', '--root', join(desk.folder, 'planned'), '--dry-run', '--format', 'json');
  expect(JSON.parse(planned.stdout)).toMatchObject({product: expect.stringMatching(/^questdb 9\./), in_the_way: null});
  expect(planned.stderr).not.toContain('start the restored root');
  const root = join(desk.folder, 'one-table');
  await desk.bkp('sql', '--wait', `RESTORE DATABASE TABLE notes INTO '${root}'`);
  const restored = await startOn(root);
  expect(await restored.sql('SELECT text FROM notes ORDER BY ts')).toEqual([['one'], ['two']]);
  await expect(restored.sql('SELECT count() FROM trades')).rejects.toThrow(/trades/);
  const refused = await desk.any('sql', '--wait', `RESTORE DATABASE INTO '${server.root}'`);
  expect(refused.status).toBe(12);
  expect(refused.stderr).toContain('The local database is not empty.');
});

test('a table in another volume and a partition that is a link are restored as ordinary folders', async () => {
  const volume = mkdtempSync(join(tmpdir(), 'bkp-questdb-volume-'));
  onTestFinished(() => rmSync(volume, {recursive: true, force: true, maxRetries: 3}));
  const own = await QuestDbServer.start({env: {QDB_CAIRO_VOLUMES: `other -> ${volume}`}});
  onTestFinished(() => own.remove());
  const columns = '(ts TIMESTAMP, n LONG, note VARCHAR) TIMESTAMP(ts) PARTITION BY DAY WAL';
  await own.sql(`CREATE TABLE linked ${columns}`);
  await own.sql(`CREATE TABLE elsewhere ${columns} IN VOLUME 'other'`);
  for (const table of ['linked', 'elsewhere']) {
    const values = "(1767225600000000L + x * 60000000L)::TIMESTAMP, x, 'row ' || x";
    await own.sql(`INSERT INTO ${table} SELECT ${values} FROM long_sequence(5000)`);
  }
  await own.applied();
  const db = join(own.root, 'db');
  const [folder] = readdirSync(db).filter((name) => /^linked~\d+$/.test(name));
  await own.sql("ALTER TABLE linked DETACH PARTITION LIST '2026-01-02'");
  await own.applied();
  const cold = join(volume, 'cold');
  renameSync(join(db, folder!, '2026-01-02.detached'), cold);
  symlinkSync(cold, join(db, folder!, '2026-01-02.attachable'));
  await own.sql("ALTER TABLE linked ATTACH PARTITION LIST '2026-01-02'");
  await own.applied();
  const contents = (of: QuestDbServer) =>
    Promise.all(['linked', 'elsewhere'].map((table) => of.sql(`SELECT count(), sum(n), max(note) FROM ${table}`)));
  const wanted = await contents(own);
  expect(wanted[0]![0]![0]).toBe(5000);

  const desk = openDesk({BKP_SOURCE: `questdb::root=${own.root};http=${own.url}`});
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  const root = join(desk.folder, 'restored');
  await desk.bkp('restore', '--root', root, '--wait');
  expect(await contents(await startOn(root))).toEqual(wanted);
  const found = readdirSync(join(root, 'db'), {recursive: true, withFileTypes: true});
  expect(found.filter((entry) => entry.isSymbolicLink())).toEqual([]);
});

test('a table that the server forgot when it started is named by each backup', async () => {
  const own = await QuestDbServer.start();
  onTestFinished(() => own.remove());
  for (const [name, kind] of [
    ['logged', 'WAL'],
    ['direct', 'BYPASS WAL'],
    ['moved', 'WAL'],
    ['dropped', 'WAL'],
    ['kept', 'WAL'],
  ] as const) {
    await own.sql(`CREATE TABLE ${name} (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY ${kind}`);
    await own.sql(`INSERT INTO ${name} VALUES ('2026-01-01', 1)`);
  }
  await own.applied();
  const db = join(own.root, 'db');
  const folderOf = (table: string) => readdirSync(db).find((name) => name.split('~')[0] === table)!;
  const [logged, direct, moved] = ['logged', 'direct', 'moved'].map(folderOf);
  await own.end();
  for (const folder of [logged, direct]) rmSync(join(db, folder!, '_txn'));
  renameSync(join(db, moved!), join(own.root, 'volume'));
  symlinkSync(join(own.root, 'not-mounted'), join(db, moved!));
  await own.start();
  await own.sql('DROP TABLE dropped');
  const desk = openDesk({BKP_SOURCE: `questdb::root=${own.root};http=${own.url}`});
  for (const _ of ['full', 'next']) {
    await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
    const {stdout} = await desk.any('operation', 'get', 'last', '--format', 'json');
    const named = [logged, direct, moved].filter((folder) => stdout.includes(`db/${folder} looks like a table`));
    expect(named, stdout).toEqual([logged, direct, moved]);
    expect(stdout).not.toMatch(/db\/(kept|dropped)/);
  }
});

test('detached partitions, conversions that wait and suspended tables are named by each backup', async () => {
  const own = await QuestDbServer.start({env: {QDB_DEV_MODE_ENABLED: 'true'}});
  onTestFinished(() => own.remove());
  for (const [name, kind] of [
    ['logged', 'WAL'],
    ['direct', 'BYPASS WAL'],
    ['stuck', 'WAL'],
  ] as const) {
    await own.sql(`CREATE TABLE ${name} (ts TIMESTAMP, n INT) TIMESTAMP(ts) PARTITION BY DAY ${kind}`);
    await own.sql(`INSERT INTO ${name} VALUES ('2026-01-01', 1), ('2026-01-02', 2), ('2026-01-03', 3)`);
  }
  await own.applied();
  const desk = openDesk({BKP_SOURCE: `questdb::root=${own.root};http=${own.url}`});
  const noticed = async () => (await desk.any('operation', 'get', 'last', '--format', 'json')).stdout;
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  expect(await noticed()).not.toMatch(/detached|SET TYPE|suspended/);

  for (const name of ['logged', 'direct']) await own.sql(`ALTER TABLE ${name} DETACH PARTITION LIST '2026-01-02'`);
  await own.applied();
  await own.sql('ALTER TABLE direct SET TYPE WAL');
  await own.sql('ALTER TABLE stuck SUSPEND WAL');
  await own.sql("INSERT INTO stuck VALUES ('2026-01-04', 4)");
  await desk.bkp('sql', '--wait', 'BACKUP DATABASE');
  const live = await noticed();
  expect(live).toMatch(/detached partitions are not in the backup: 2026-01-02 of (logged|direct), 2026-01-02 of \w+/);
  expect(live).toContain('SET TYPE of table direct waits for a restart: it is not in the backup');
  expect(live).toMatch(/suspended: stuck: .*ALTER TABLE 'stuck' RESUME WAL/);

  await own.end();
  await desk.bkp('--source', `questdb::root=${own.root};offline=true`, 'sql', '--wait', 'BACKUP DATABASE');
  expect(await noticed()).toContain('detached partitions are not in the backup: 2026-01-02 of ');

  const again = await desk.any('restore', '--root', join(own.root, '../again'), '--dry-run');
  expect(again.stderr).toContain('detached partitions are not in the backup: 2026-01-02 of ');
  await desk.bkp('restore', '--root', join(own.root, '../again'), '--wait');
  expect(await noticed()).toContain('detached partitions are not in the backup: 2026-01-02 of ');
});
