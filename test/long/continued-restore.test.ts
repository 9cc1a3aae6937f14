import {execFileSync, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {eventually} from '../helpers/eventually.ts';
import {collectDatabase, inProcess} from '../helpers/in-process.ts';
import {expectSame} from '../helpers/sqlite-compare.ts';
import {seed} from '../seeds/seed.ts';
import {Random} from '../simulator/random.ts';

// A restore whose process is killed continues where it was when the same restore is asked for again.

const child = join(import.meta.dirname, 'children', 'killed-collection-restore.ts');
const megabyte = 1024 * 1024;

const schema = `
  CREATE TABLE big (id INTEGER PRIMARY KEY, txt TEXT, more BLOB);
  CREATE INDEX big_txt ON big (txt);
  CREATE INDEX computed ON big (length(txt));
  CREATE TABLE keyed (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE small (id INTEGER PRIMARY KEY AUTOINCREMENT, big REFERENCES big);
  CREATE TRIGGER copy AFTER INSERT ON small BEGIN UPDATE big SET txt = 'x' WHERE id = NEW.big; END;
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
    INSERT INTO big SELECT i, 'order ' || (i * 7919 % 40000), randomblob(120) FROM n;
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
    INSERT INTO keyed SELECT 'key ' || i, hex(randomblob(40)) FROM n;
  INSERT INTO small (big) VALUES (5), (6), (7);`;

async function place(pragmas = '') {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-continued-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const path = (name: string) => join(folder, name);
  const bench = inProcess({database: path('app.db'), cluster: path('cluster')});
  const exec = (sql: string, name = 'app.db') => {
    const db = new DatabaseSync(path(name));
    db.exec(sql);
    db.close();
  };
  exec(`${pragmas} PRAGMA synchronous = OFF; ${schema}`);
  await collectDatabase(bench);
  await bench.backup('c', 'full');
  const run = (end: number | string, target: string, tables = '') => {
    const args = [child, path('cluster'), path(target), String(end), tables];
    try {
      return JSON.parse(execFileSync(process.execPath, args, {encoding: 'utf8'})) as {bytes: number; phases: string[]};
    } catch (error) {
      if ((error as {signal?: string}).signal === 'SIGKILL') return 'killed';
      throw error;
    }
  };
  // A journal of SQLite, and a note that is being written, may be there too when the process is killed.
  const stagings = (target: string) =>
    readdirSync(folder).filter((name) => name.startsWith(`${target}.bkp-stage-`) && !/-journal$|\.new$/.test(name));
  return {bench, exec, path, run, stagings};
}

test('a restore that is killed anywhere continues, and is the database bit by bit', async () => {
  const {path, run, stagings} = await place();
  const whole = run('never', 'whole.db');
  if (whole === 'killed') throw new Error('it was not to be killed');
  expectSame(path('whole.db'), path('app.db'));
  const ends = [1, 3, 4.3, 5.1, 6.7, 8, whole.bytes / megabyte - 0.1].map((n) => Math.round(n * megabyte));
  for (const end of [...ends, 'Indexes', 'Check']) {
    const target = `at-${end}.db`;
    expect(run(end, target)).toBe('killed');
    const again = run('never', target);
    if (again === 'killed') throw new Error('it was not to be killed');
    expect(again.bytes).toBeLessThanOrEqual(whole.bytes);
    expectSame(path(target), path('app.db'));
    expect(stagings(target).filter((name) => name.endsWith('.json'))).toEqual([]);
  }
}, 300_000);

test('what was loaded some time before the kill is not loaded again', async () => {
  const {path, run, stagings} = await place();
  const whole = run('never', 'whole.db');
  if (whole === 'killed') throw new Error('it was not to be killed');
  expect(run(`late ${8 * megabyte}`, 'copy.db')).toBe('killed');
  const again = run('never', 'copy.db');
  if (again === 'killed') throw new Error('it was not to be killed');
  // A checkpoint is made every MiB; some MiB are on their way when one is made.
  expect(again.bytes).toBeLessThan(whole.bytes - 4 * megabyte);
  expectSame(path('copy.db'), path('app.db'));
  expect(stagings('copy.db')).toEqual([]);
}, 300_000);

test('what a loss of power leaves of anything after the checkpoint does not matter', async () => {
  const {path, run, stagings} = await place();
  for (const damage of ['garbage', 'cut off', 'nothing']) {
    const target = `${damage}.db`;
    expect(run(`late ${6 * megabyte}`, target)).toBe('killed');
    const [staged] = stagings(target).filter((name) => !name.endsWith('.json'));
    const {state} = JSON.parse(readFileSync(path(`${staged}.json`), 'utf8')) as {state: {pages: number}};
    const file = openSync(path(staged!), 'r+');
    const end = state.pages * 4096;
    // The first page has the schema and the number of pages; SQLite and the layout write it again.
    writeSync(file, Buffer.alloc(60, 0xa5), 0, 60, 40);
    if (damage === 'garbage') writeSync(file, randomBytes(3 * megabyte), 0, 3 * megabyte, end);
    // Shorter than its record says: nothing of it can be used.
    ftruncateSync(file, damage === 'nothing' ? end - 4096 : damage === 'cut off' ? end : end + 2 * megabyte);
    closeSync(file);
    const again = run('never', target);
    if (again === 'killed') throw new Error('it was not to be killed');
    expect(again.bytes < 8 * megabyte).toBe(damage !== 'nothing');
    expectSame(path(target), path('app.db'));
  }
}, 300_000);

test('a restore that is killed again and again gets further each time', async () => {
  const {path, run, stagings} = await place();
  let kills = 0;
  while (run(`late ${4.5 * megabyte}`, 'copy.db') === 'killed') expect(++kills).toBeLessThan(8);
  expect(kills).toBeGreaterThan(1);
  expectSame(path('copy.db'), path('app.db'));
  expect(stagings('copy.db')).toEqual([]);
}, 300_000);

test('a restore into an existing database continues too', async () => {
  const {path, run, exec} = await place();
  exec('CREATE TABLE mine (x); INSERT INTO mine VALUES (1)', 'other.db');
  expect(run(7 * megabyte, 'other.db')).toBe('killed');
  const again = run('never', 'other.db');
  expect(again).not.toBe('killed');
  expectSame(path('other.db'), path('app.db'), ['big', 'keyed', 'small']);
}, 300_000);

test('a restore into an existing database that is killed in its last phases keeps what was loaded', async () => {
  const {path, run, exec, stagings} = await place();
  const whole = run('never', 'whole.db');
  if (whole === 'killed') throw new Error('it was not to be killed');
  exec('CREATE TABLE mine (x); INSERT INTO mine VALUES (1)', 'other.db');
  for (const end of ['Indexes', 'Check', 'Publish']) {
    copyFileSync(path('other.db'), path(`${end}.db`));
    expect(run(end, `${end}.db`)).toBe('killed');
    const again = run('never', `${end}.db`);
    if (again === 'killed') throw new Error('it was not to be killed');
    // How many notes are written while records are loaded depends on the disk; the first one is, before the check.
    if (end !== 'Indexes') expect(again.bytes, end).toBeLessThan(whole.bytes);
    expectSame(path(`${end}.db`), path('app.db'), ['big', 'keyed', 'small']);
    expect(stagings(`${end}.db`)).toEqual([]);
  }
}, 300_000);

test('a restore that is killed while it copies tables into a database brings all of them or none', async () => {
  const {path, run, exec} = await place();
  const whole = run('never', 'whole.db');
  if (whole === 'killed') throw new Error('it was not to be killed');
  exec('CREATE TABLE mine (x); INSERT INTO mine VALUES (1)', 'other.db');
  const random = new Random(seed);
  for (let round = 0; round < 6; round++) {
    const target = `round-${round}.db`;
    copyFileSync(path('other.db'), path(target));
    const process_ = spawn(process.execPath, [child, path('cluster'), path(target), 'tell Publish', ''], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const afterMs = random.below(250);
    process_.stdout.once('data', () => setTimeout(() => process_.kill('SIGKILL'), afterMs));
    await once(process_, 'exit');
    const db = new DatabaseSync(path(target));
    const tables = db.prepare("SELECT name FROM sqlite_schema WHERE name IN ('big', 'keyed', 'small')").all();
    db.close();
    const label = `BKP_TEST_SEED=${seed}, round ${round}, after ${afterMs} ms`;
    expect([0, 3], label).toContain(tables.length);
    if (tables.length === 0) {
      const again = run('never', target);
      if (again === 'killed') throw new Error('it was not to be killed');
      expect(again.bytes, label).toBeLessThan(whole.bytes);
    }
    expectSame(path(target), path('app.db'), ['big', 'keyed', 'small']);
  }
}, 300_000);

test('another plan never continues, and removes what was left', async () => {
  const {path, run, bench, exec, stagings} = await place();
  expect(run(7 * megabyte, 'copy.db')).toBe('killed');
  expect(stagings('copy.db')).toHaveLength(2);
  expect(run(100, 'copy.db', 'keyed')).toBe('killed');
  const other = stagings('copy.db');
  expect(other.filter((name) => name.endsWith('.json'))).toEqual([]);
  // Another backup is another plan, too.
  expect(run(7 * megabyte, 'copy.db')).toBe('killed');
  exec('UPDATE big SET txt = 1 WHERE id < 10');
  await bench.backup('c', 'full');
  const again = run('never', 'copy.db');
  if (again === 'killed') throw new Error('it was not to be killed');
  expect(again.bytes).toBeGreaterThan(8 * megabyte);
  expectSame(path('copy.db'), path('app.db'));
}, 300_000);

test('a restore of a chain that is killed continues while changes are applied, too', async () => {
  const {path, run, bench, exec} = await place();
  const bases = run('never', 'bases.db');
  exec("UPDATE big SET txt = 'changed' || id WHERE id % 2 = 0; DELETE FROM keyed WHERE value < '2'");
  await bench.backup('c', 'incremental');
  const whole = run('never', 'whole.db');
  if (whole === 'killed' || bases === 'killed') throw new Error('it was not to be killed');
  expectSame(path('whole.db'), path('app.db'));
  // The bases are not loaded again, nor what was applied up to the last checkpoint.
  for (const [end, most] of [
    [6 * megabyte, whole.bytes],
    [bases.bytes + 0.5 * megabyte, whole.bytes - bases.bytes],
    [whole.bytes - 2000, 2.5 * megabyte],
    ['Indexes', whole.bytes],
    // An index is built already; then all of them.
    ['Indexes 5', 0],
    ['Check', 0],
    ['Publish', 0],
  ] as const) {
    const target = `at-${end}.db`;
    expect(run(typeof end === 'number' ? Math.round(end) : end, target)).toBe('killed');
    const again = run('never', target);
    if (again === 'killed') throw new Error('it was not to be killed');
    expect(again.bytes, `${end}`).toBeLessThanOrEqual(most);
    expectSame(path(target), path('app.db'));
  }
}, 300_000);

test('a paused process is not followed, and finds the tables there when it wakes up', async () => {
  const {path, run, stagings} = await place();
  const args = [child, path('cluster'), path('copy.db'), `pause ${6 * megabyte}`, ''];
  const paused = spawn(process.execPath, args, {stdio: ['ignore', 'ignore', 'pipe']});
  let errors = '';
  paused.stderr.on('data', (text) => {
    errors += text;
  });
  const stat = () => readFileSync(`/proc/${paused.pid}/stat`, 'utf8').split(') ')[1]![0];
  await eventually(() => expect(stat()).toBe('T'));
  expect(stagings('copy.db')).toHaveLength(2);
  const other = run('never', 'copy.db');
  if (other === 'killed') throw new Error('it was not to be killed');
  expect(other.bytes).toBeGreaterThan(8 * megabyte);
  expectSame(path('copy.db'), path('app.db'));
  paused.kill('SIGCONT');
  const [status] = (await once(paused, 'exit')) as [number];
  expect({status, errors}).toEqual({status: 1, errors: expect.stringContaining('TABLE_EXISTS')});
  expectSame(path('copy.db'), path('app.db'));
  expect(stagings('copy.db')).toEqual([]);
}, 300_000);

test('a database with auto_vacuum is restored from the beginning', async () => {
  const {path, run} = await place('PRAGMA auto_vacuum = FULL;');
  expect(run(7 * megabyte, 'copy.db')).toBe('killed');
  expect(run('never', 'copy.db')).not.toBe('killed');
  expectSame(path('copy.db'), path('app.db'));
}, 300_000);
