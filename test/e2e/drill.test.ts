import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {cleanAfter} from '../../src/app/orders/clean-after.ts';
import {runReport} from '../../src/commands/report/run.ts';
import {testDeps} from '../helpers/deps.ts';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const reportsOf = (desk: Desk) => desk.storedKeys().filter((key) => key.includes('/reports/'));
const drillsOf = ({home}: Desk) => {
  const folder = join(home, 'cache', 'drills');
  return existsSync(folder) ? readdirSync(folder) : [];
};

/** Changes one byte of each pack. */
function damagePacks(desk: Desk): void {
  for (const key of desk.storedKeys().filter((key) => key.startsWith('packs/'))) {
    const bytes = readFileSync(join(desk.cluster, key));
    bytes[10]! ^= 1;
    writeFileSync(join(desk.cluster, key), bytes);
  }
}

test('a drill restores the backup, runs the queries, leaves a report beside the backup and nothing else', async () => {
  const desk = openDesk();
  const {run, give} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  desk.exec('DELETE FROM orders WHERE id = 2');
  await run('BACKUP c INCREMENTAL');
  const {result} = await run(`VERIFY c WITH (LEVEL='restore', CHECK_SQL='
    SELECT count(*) = 2 FROM orders;; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
    SELECT count(*) = 0 FROM pragma_foreign_key_check, n')`);
  expect(result?.rows).toBe(5);
  expect(drillsOf(desk)).toEqual([]);
  const [key, ...others] = reportsOf(desk);
  expect(others).toEqual([]);
  expect(key).toMatch(/^\.backups\/collections\/c\/\d{14}Z_incremental\/reports\/\d{14}Z_restore_passed_[0-9a-f]{8}$/);

  const verified = async () => {
    const {table} = await give('SELECT backup, verified FROM collection_backups()');
    return table!.rows.map((row) => row.at(-1) !== null);
  };
  // The increment, whose restore reads the full backup too.
  expect((await verified()).at(-1)).toBe(true);
  await run("VERIFY c WITH (LEVEL='data')");
  const {table} = await give('SELECT level, outcome, tables, rows, faults, queries, error FROM verifications()');
  expect(table?.rows).toEqual([['restore', 'passed', 2, 5, 0, 2, null]]);
  const deps = testDeps(desk.home);
  Object.assign(deps.env, {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster});
  await runReport(deps, {collection: 'c', format: 'pretty'});
  expect(deps.out()).toContain('RESTORE DRILL: PASSED');
  expect(
    Math.max(
      ...deps
        .out()
        .split('\n')
        .map((line) => line.length),
    ),
  ).toBeLessThan(200);
  await expect(runReport(deps, {collection: 'c', backup: 'x', format: 'json'})).rejects.toMatchObject({
    code: 'BACKUP_NOT_FOUND',
  });
  deps.close();
});

test('a query holds only if it returns one row that begins with something true', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(false));
  await run('BACKUP c');
  const failing = {
    'SELECT count(*) = 9 FROM orders': '0',
    'SELECT 1 WHERE 0': 'no row',
    'SELECT 1 FROM orders': 'more than one row',
    'SELECT NULL': 'NULL',
    "SELECT ''no''": 'no',
    'SELECT missing(id) FROM orders': 'an error: no such function: missing',
    'SELECT * FROM pragma_journal_mode': 'an error: not authorized',
  };
  const checks = [...Object.keys(failing), 'SELECT 1', "SELECT ''1 is true''"].join(';;');
  await expect(run(`VERIFY c WITH (LEVEL='restore', CHECK_SQL='${checks}')`)).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
    details: Object.values(failing).map((found) => expect.stringContaining(`(it returned ${found})`)),
  });
  expect(reportsOf(desk)).toEqual([expect.stringMatching(/_restore_failed_/)]);
});

test('settings that no drill could carry out are refused at once', async () => {
  const desk = openDesk();
  const {run, give} = runDirectly(desk);
  await run(createC(false));
  await expect(give(`VERIFY c WITH (LEVEL='restore')`)).rejects.toMatchObject({code: 'BAD_REQUEST'});
  await run('BACKUP c');
  for (const [settings, code] of [
    ["LEVEL='restore', CHECK_SQL='DELETE FROM orders'", 'SYNTAX'],
    ["LEVEL='restore', CHECK_SQL='SELECT 1; DELETE FROM orders'", 'SYNTAX'],
    ["LEVEL='restore', CHECK_SQL='SELECT ?'", 'SYNTAX'],
    ["LEVEL='restore', CHECK_SQL=''", 'SYNTAX'],
    ["LEVEL='data', CHECK_SQL='SELECT 1'", 'BAD_REQUEST'],
    ["LEVEL='all'", 'BAD_REQUEST'],
  ]) {
    await expect(give(`VERIFY c WITH (${settings})`)).rejects.toMatchObject({code});
  }
});

test('a drill of a damaged backup fails with a report, and one that cannot run leaves none', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(false));
  await run('BACKUP c');
  const scratch = join(desk.folder, 'not-a-folder');
  writeFileSync(scratch, '');
  const base = testDeps(desk.home);
  const elsewhere = runDirectly(desk, {
    settings: async () => ({...(await base.settings()), source: desk.database, cluster: desk.cluster, scratch}),
  });
  await expect(elsewhere.run(`VERIFY c WITH (LEVEL='restore')`)).rejects.toMatchObject({});
  base.close();
  expect(reportsOf(desk)).toEqual([]);
  damagePacks(desk);
  await expect(run(`VERIFY c WITH (LEVEL='restore')`)).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
  expect(reportsOf(desk)).toEqual([expect.stringMatching(/_restore_failed_/)]);
  expect(drillsOf(desk)).toEqual([]);
});

test('reports go with their backups, except the newest drill and the newest that passed', async () => {
  const desk = openDesk();
  const {run, give} = runDirectly(desk);
  const {cleanUp, collectionStandings} = await import('../../src/collections/index.ts');
  const {inProcess} = await import('../helpers/in-process.ts');
  const {vault} = inProcess({database: desk.database, cluster: desk.cluster});
  const tools = {signal: new AbortController().signal, progress() {}, notice() {}, nowMicros: () => Date.now() * 1000};
  const clean = () => vault((at) => cleanUp({...tools, vault: at}, 'cleanup/1', {collection: 'c'}));
  const standing = () => vault(async (at) => (await collectionStandings(at))[0]);
  await run(createC(false));
  for (const holds of [1, 1, 0]) {
    await run('BACKUP c');
    const drilled = run(`VERIFY c WITH (LEVEL='restore', CHECK_SQL='SELECT ${holds}')`);
    if (holds) await drilled;
    else await expect(drilled).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
    // Reports have whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const [, passed, failed] = reportsOf(desk);
  await run("ALTER BACKUP COLLECTION c SET (KEEP_LATEST='1')");
  await run('BACKUP c');
  const before = await standing();
  expect(before).toMatchObject({hasLastDrillPassed: false, newestDrillMs: expect.any(Number)});
  await clean();
  expect(desk.storedKeys().filter((key) => key.endsWith('/manifest'))).toHaveLength(1);
  expect(reportsOf(desk)).toEqual([passed, failed]);
  const {newestDrillMs, hasLastDrillPassed} = before!;
  expect(await standing()).toMatchObject({newestDrillMs, hasLastDrillPassed});
  expect((await give('SELECT outcome FROM verifications()')).table?.rows).toEqual([['passed'], ['failed']]);

  await run(`VERIFY c WITH (LEVEL='restore')`);
  await clean();
  const [newest, ...others] = reportsOf(desk);
  expect([newest, others]).toEqual([expect.stringContaining('_restore_passed_'), []]);

  await run('DROP BACKUP COLLECTION c');
  await clean();
  expect(reportsOf(desk)).toEqual([]);
});

test('the progress of a drill grows to the end, its queries included', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(false));
  await run('BACKUP c');
  const {drill, listBackups} = await import('../../src/collections/index.ts');
  const {inProcess} = await import('../helpers/in-process.ts');
  const {openSource} = await import('../../src/sources/index.ts');
  const seen: {phase: string; whole: number | undefined}[] = [];
  await inProcess({database: desk.database, cluster: desk.cluster}).vault(async (vault) => {
    const [backup] = await listBackups(vault, 'c');
    await drill(
      {
        vault,
        signal: new AbortController().signal,
        nowMicros: () => Date.now() * 1000,
        progress: ({phase, whole}) => seen.push({phase, whole}),
        notice() {},
        scratch: await openSource({scheme: 'sqlite', path: join(desk.folder, 'scratch.db')}),
        check: async (sql) => ({sql, held: true, found: '1'}),
        verify: async () => ({checked: [], notChecked: []}),
        author: {bkp: '', node: '', sqlite: '', host: '', operation: 'a test'},
        random: '01234567',
      },
      {collection: 'c', backup: backup!.name, queries: ['SELECT 1', 'SELECT 2']},
    );
  });
  const shares = seen.map(({whole}) => whole!);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  expect(seen.at(-1)).toMatchObject({phase: 'Queries', whole: expect.closeTo(0.975)});
  expect(seen.find(({phase}) => phase === 'Check')?.whole).toBeGreaterThan(0);
});

test('what a killed drill leaves is removed by the next command', async () => {
  const desk = openDesk();
  const {run, give} = runDirectly(desk);
  await run(createC(false));
  await run('BACKUP c');
  const {operation} = await give(`VERIFY c WITH (LEVEL='restore')`);
  const {folder} = operation!.work as {folder: string};
  mkdirSync(folder, {recursive: true});
  writeFileSync(join(folder, 'restored.db'), 'half of it');
  await cleanAfter(testDeps(desk.home), operation!);
  expect(drillsOf(desk)).toEqual([]);
});
