import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {cleanAfter} from '../../src/app/orders/clean-after.ts';
import {runMetrics} from '../../src/commands/metrics/run.ts';
import {runReport} from '../../src/commands/report/run.ts';
import {microsOf, microsText} from '../../src/lib/time.ts';
import {testDeps} from '../helpers/deps.ts';
import {type Desk, openDesk} from '../helpers/desk.ts';
import {type Direct, runDirectly} from '../helpers/run-directly.ts';

// VERIFY DATABASE with LEVEL='restore' of an SQLite file.

const schema = `CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer REFERENCES customers (id), note);
  INSERT INTO customers VALUES (1, 'Ann'), (2, 'Ben');
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
  INSERT INTO orders SELECT i, 1 + i % 2, randomblob(100) FROM n`;

function openBench(text = schema): {desk: Desk; direct: Direct; deps: ReturnType<typeof testDeps>} {
  const desk = openDesk(text);
  const deps = testDeps(desk.home);
  Object.assign(deps.env, {
    BKP_SOURCE: desk.database,
    BKP_CLUSTER: join(desk.folder, 'none'),
    BKP_STORE: `fs::root=${desk.cluster}`,
  });
  const {settings} = deps;
  return {desk, deps, direct: runDirectly(desk, {settings})};
}

const reportsOf = (desk: Desk) => desk.storedKeys().filter((key) => key.includes('/reports/'));
const scratchOf = ({home}: Desk) => {
  const folder = join(home, 'cache', 'drills');
  return existsSync(folder) ? readdirSync(folder) : [];
};

function change(desk: Desk, keys: (key: string) => boolean, at = 10): void {
  for (const key of desk.storedKeys().filter(keys)) {
    const bytes = readFileSync(join(desk.cluster, key));
    bytes[at % bytes.length]! ^= 1;
    writeFileSync(join(desk.cluster, key), bytes);
  }
}

test('a drill of a file reads it back, checks it, runs queries, and leaves a report and nothing else', async () => {
  const {desk, deps, direct} = openBench();
  await direct.run('BACKUP DATABASE');
  const checks = "SELECT count(*) = 500 FROM orders;; SELECT name = ''Ann'' FROM customers WHERE id = 1";
  const {result, operation} = await direct.run(`VERIFY DATABASE WITH (LEVEL='restore', CHECK_SQL='${checks}')`);
  expect(result).toMatchObject({files: 1, instance: expect.stringMatching(/^[a-z]+-[a-z]+-[a-z]+$/)});
  expect(operation?.backup).toMatch(/^[a-z-]+\/20\d\d-/);
  expect(scratchOf(desk)).toEqual([]);
  const {instance} = result!;
  expect(reportsOf(desk)).toEqual([
    expect.stringMatching(RegExp(`^backup/${instance}/[^/]+/reports/\\d{14}Z_restore_passed_[0-9a-f]{8}$`)),
  ]);
  const {table} = await direct.give(
    'SELECT collection, instance, level, outcome, tables, rows, faults, queries, error FROM verifications()',
  );
  expect(table?.rows).toEqual([[null, instance, 'restore', 'passed', 2, 502, 0, 2, null]]);
  await runReport(deps, {collection: instance, format: 'pretty'});
  expect(deps.out()).toMatch(/^RESTORE DRILL: PASSED/);
  expect(deps.out()).toContain("SQLite's integrity_check found no fault");
  expect(deps.out()).toMatch(/orders +500 +- +equal/);
  await runMetrics(deps, {});
  expect(deps.out()).toMatch(/^bkp_database_newest_drill_age_seconds\{.*\} \d/m);
  deps.close();
});

test('damage of any object that the restore reads fails the drill', async () => {
  const {desk, direct} = openBench();
  await direct.run('BACKUP DATABASE');
  const kept = new Map(desk.storedKeys().map((key) => [key, readFileSync(join(desk.cluster, key))]));
  const packs = [...kept.keys()].filter((key) => key.startsWith('packs/'));
  for (const at of [5, 2_000, 30_000]) {
    change(desk, (key) => packs.includes(key), at);
    await expect(direct.run("VERIFY DATABASE WITH (LEVEL='restore')"), `byte ${at}`).rejects.toMatchObject({
      code: 'DAMAGE_FOUND',
    });
    for (const key of packs) writeFileSync(join(desk.cluster, key), kept.get(key)!);
  }
  expect(reportsOf(desk)).toHaveLength(3);
  expect(reportsOf(desk).every((key) => key.includes('_restore_failed_'))).toBe(true);
  change(desk, (key) => key.endsWith('/manifest'), 200);
  await expect(direct.run("VERIFY DATABASE WITH (LEVEL='restore')")).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(scratchOf(desk)).toEqual([]);
});

test('a backup of a damaged database fails its drill, although every byte is that of the backup', async () => {
  const {desk, direct} = openBench();
  // An index that lacks an entry: only integrity_check compares it with its table.
  const db = new DatabaseSync(desk.database);
  db.enableDefensive(false);
  const define = (sql: string) =>
    db.exec(`PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '${sql}' WHERE name = 't_a';
      PRAGMA writable_schema = RESET`);
  db.exec('CREATE TABLE t (a); CREATE INDEX t_a ON t (a); INSERT INTO t VALUES (1), (2)');
  define('CREATE INDEX t_a ON t (a) WHERE a > 1');
  db.exec('INSERT INTO t VALUES (0)');
  define('CREATE INDEX t_a ON t (a)');
  db.close();
  await direct.run('BACKUP DATABASE');
  await expect(direct.run("VERIFY DATABASE WITH (LEVEL='restore')")).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
    details: [expect.stringMatching(/^SQLite finds damage: .*t_a/), expect.anything()],
  });
});

test('rows that broke rules in the original are named, and do not fail the drill', async () => {
  const {desk, deps, direct} = openBench();
  desk.exec('PRAGMA foreign_keys = OFF; INSERT INTO orders VALUES (999, 77, NULL)');
  await direct.run('BACKUP DATABASE');
  await direct.run("VERIFY DATABASE WITH (LEVEL='restore')");
  await runReport(deps, {format: 'pretty'});
  expect(deps.out()).toMatch(/rows refer to rows that do not exist: 1 of\s+orders to\s+customers/);
  deps.close();
});

test('a query that does not hold fails the drill, and one that could change data is refused at once', async () => {
  const {desk, direct} = openBench();
  await direct.run('BACKUP DATABASE');
  await expect(
    direct.run("VERIFY DATABASE WITH (LEVEL='restore', CHECK_SQL='SELECT count(*) > 500 FROM orders')"),
  ).rejects.toMatchObject({code: 'DAMAGE_FOUND', details: [expect.stringContaining('(it returned 0)')]});
  for (const [settings, code] of [
    ["LEVEL='restore', CHECK_SQL='DELETE FROM orders'", 'SYNTAX'],
    ["LEVEL='data', CHECK_SQL='SELECT 1'", 'BAD_REQUEST'],
    ["LEVEL='source'", 'BAD_REQUEST'],
    ["LEVEL='restore', BUDGET='1 GiB'", 'BAD_REQUEST'],
  ]) {
    await expect(direct.give(`VERIFY DATABASE WITH (${settings})`)).rejects.toMatchObject({code});
  }
  expect(scratchOf(desk)).toEqual([]);
});

test('the drill is of the backup that is named; the newest report outlasts its backup', async () => {
  const {desk, direct} = openBench();
  await direct.run('BACKUP DATABASE');
  const {table} = await direct.give('SELECT start_ts FROM backups()');
  const [first] = table!.rows[0]! as [string];
  desk.exec('DELETE FROM orders');
  await direct.run('BACKUP DATABASE');
  const rows = "CHECK_SQL='SELECT count(*) = 500 FROM orders'";
  await expect(direct.run(`VERIFY DATABASE WITH (LEVEL='restore', ${rows})`)).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
  });
  await direct.run(`VERIFY DATABASE AT '${first}' WITH (LEVEL='restore', ${rows})`);
  const [older, newer] = reportsOf(desk);
  expect([older, newer]).toEqual([
    expect.stringContaining('_restore_passed_'),
    expect.stringContaining('_restore_failed_'),
  ]);
  const instance = older!.split('/')[1]!;
  await direct.run(`DROP DATABASE BACKUP '${instance}/${first}'`);
  expect(reportsOf(desk)).toEqual([older, newer]);
  // Reports of one second are equally new.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await direct.run("VERIFY DATABASE WITH (LEVEL='restore')");
  await direct.run('BACKUP DATABASE');
  const rest = (await direct.give('SELECT start_ts FROM backups()')).table!.rows;
  await direct.run(`DROP DATABASE BACKUP '${instance}/${rest[0]![0]}'`);
  const [newest, ...others] = reportsOf(desk);
  expect([newest, others]).toEqual([expect.stringContaining('_restore_passed_'), []]);
});

test('whoever names a moment without a backup learns which older backup is meant', async () => {
  const {desk, direct} = openBench();
  await direct.run('BACKUP DATABASE');
  const {table} = await direct.give('SELECT start_ts FROM backups()');
  const [first] = table!.rows[0]! as [string];
  await direct.run('BACKUP DATABASE');
  const second = (await direct.give('SELECT max(start_ts) FROM backups()')).table!.rows[0]![0] as string;
  const mistyped = microsText(microsOf(second)! - 1);
  const instance = (await direct.give('SELECT backup_instance_name')).table!.rows[0]![0] as string;
  const noticesOf = async (statement: string) => (await direct.run(statement)).notices;
  const older = `no backup has the timestamp ${mistyped}: the newest one before it is ${first}`;
  const into = (n: number) => `INTO '${join(desk.folder, `new${n}.db`)}'`;
  for (const [n, statement] of [
    `RESTORE DATABASE AT '${mistyped}' ${into(1)}`,
    `RESTORE DATABASE AT '${mistyped}' ${into(2)} WITH (DRY_RUN='true')`,
    `VERIFY DATABASE AT '${mistyped}'`,
    `VERIFY DATABASE AT '${mistyped}' WITH (LEVEL='restore')`,
  ].entries()) {
    expect(await noticesOf(statement), String(n)).toEqual([expect.stringContaining(older)]);
  }
  for (const at of [first, second, 'latest', `${instance}/${first}`]) {
    expect(await noticesOf(`RESTORE DATABASE AT '${at}' ${into(3)} WITH (DRY_RUN='true')`), at).toEqual([]);
  }
  const none = `RESTORE DATABASE AT '${instance}/${mistyped}' ${into(4)}`;
  await expect(direct.give(none)).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
});

test('what a killed drill leaves is removed by the next command', async () => {
  const {desk, deps, direct} = openBench();
  await direct.run('BACKUP DATABASE');
  const {operation} = await direct.give("VERIFY DATABASE WITH (LEVEL='restore')");
  const {folder} = operation!.work as {folder: string};
  mkdirSync(folder, {recursive: true});
  writeFileSync(join(folder, 'restored'), 'half of it');
  await cleanAfter(deps, operation!);
  expect(scratchOf(desk)).toEqual([]);
  deps.close();
});

test('PARTIAL is refused at once for a file: its pages belong to all tables', async () => {
  const {direct, desk, deps} = openBench();
  await direct.run('BACKUP DATABASE');
  for (const more of ['', ", DRY_RUN='true'"]) {
    const into = join(desk.folder, 'rescued.db');
    await expect(direct.give(`RESTORE DATABASE INTO '${into}' WITH (PARTIAL='true'${more})`)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      next: expect.stringContaining("AT '-1 day'"),
    });
  }
  expect(await (await deps.journal()).open()).toEqual([]);
  deps.close();
});
