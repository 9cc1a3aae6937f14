import {readFileSync, rmSync, utimesSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {execute} from '../../../src/app/statements/execute.ts';
import {runMetrics} from '../../../src/commands/metrics/run.ts';
import {resultOf, statusOf} from '../../../src/ops/index.ts';
import {parse} from '../../../src/sql/index.ts';
import {hashHex} from '../../../src/vault/format/hash.ts';
import {createC, openDesk} from '../../helpers/desk.ts';
import {deskDeps} from '../../helpers/desk-deps.ts';

// What statements and metrics show of the ledger.

const isDamaged = (file: string) => !file.endsWith(hashHex(readFileSync(file)));

function openBench() {
  const desk = openDesk();
  const deps = deskDeps(desk);
  const {settings} = deps;
  const objectStore = {address: {kind: 'directory', root: `${desk.folder}/backups`}} as const;
  deps.settings = async () => ({...(await settings()), objectStore});
  const run = async (statement: string) => {
    const {rows, operation} = await execute(deps, parse(statement)[0]!);
    const ended = operation && (await (await deps.journal()).get(operation.number));
    if (ended !== undefined) expect(statusOf(ended)).toBe('SUCCESS');
    return {rows, result: ended === undefined ? {} : resultOf(ended)};
  };
  const column = async (select: string) => {
    const {rows} = await run(select);
    if (rows?.kind !== 'selection') throw new Error('not a selection');
    return rows.selection.rows.map(([value]) => value);
  };
  const metric = async (name: string) => {
    const before = deps.out().length;
    await runMetrics(deps, {});
    return deps
      .out()
      .slice(before)
      .match(new RegExp(`^${name}\\{.*? (.*)$`, 'm'))?.[1];
  };
  return {desk, deps, run, column, metric};
}

test('VERIFY with a budget reports the coverage; SHOW BACKUPS and metrics show what is verified', async () => {
  const {desk, run, column, metric} = openBench();
  const verified = 'SELECT verified FROM collection_backups()';
  const newest = 'bkp_collection_newest_verified_backup_timestamp_seconds';
  await run(createC(true));
  await run('BACKUP c');
  expect(await column(verified)).toEqual([null]);
  expect(await metric(newest)).toBeUndefined();
  const {result} = await run("VERIFY c WITH (BUDGET = '1 GiB')");
  expect(result).toMatchObject({neverVerifiedBytes: 0, oldestVerifiedAt: expect.stringMatching(/^20/)});
  expect(result.readBytes).toBeGreaterThan(result.neededBytes!);
  expect(result).not.toHaveProperty('logicalBytes');
  const [first] = await column(verified);
  expect(first).toMatch(/^20/);
  const taken = await metric(newest);
  desk.exec("UPDATE orders SET txt = 'new'");
  await run('BACKUP c INCREMENTAL');
  expect(await column(verified)).toEqual([first, null]);
  expect(await metric(newest)).toBe(taken);
  await run('VERIFY c');
  const both = (await column(verified)) as string[];
  expect(both.every((time) => time >= (first as string))).toBe(true);
  expect(Number(await metric(newest))).toBeGreaterThanOrEqual(Number(taken));
  // The ledger is lost: nothing else is.
  rmSync(join(desk.cluster, 'verified'), {recursive: true});
  expect(await column(verified)).toEqual([null, null]);
  await run("VERIFY c WITH (LEVEL = 'structure')");
  expect(await column(verified)).toEqual([null, null]);
});

test('VERIFY DATABASE with a budget, and the column verified of backups()', async () => {
  const {run, column, metric} = openBench();
  const newest = 'bkp_database_newest_verified_backup_timestamp_seconds';
  await run('BACKUP DATABASE');
  expect(await column('SELECT verified FROM backups()')).toEqual([null]);
  expect(await metric(newest)).toBeUndefined();
  const {result} = await run("VERIFY DATABASE WITH (BUDGET = '5 min')");
  expect(result).toMatchObject({neverVerifiedBytes: 0});
  expect(await column('SELECT verified FROM backups()')).toEqual([expect.stringMatching(/^20/)]);
  expect(Number(await metric(newest))).toBeGreaterThan(1e9);
});

test('backups() lists no backup that was dropped, although the journal has it', async () => {
  const {run, column} = openBench();
  await run('BACKUP DATABASE');
  await run('BACKUP DATABASE');
  const [first, second] = await column('SELECT start_ts FROM backups()');
  await run(`DROP DATABASE BACKUP '${first}'`);
  expect(await column('SELECT start_ts FROM backups()')).toEqual([second]);
});

test('a drill that passed is in the metrics', async () => {
  const {run, metric} = openBench();
  await run(createC(false));
  await run('BACKUP c');
  expect(await metric('bkp_collection_newest_drill_timestamp_seconds')).toBeUndefined();
  await run("VERIFY c WITH (LEVEL = 'restore')");
  expect(Number(await metric('bkp_collection_newest_drill_timestamp_seconds'))).toBeGreaterThan(1e9);
});

test('VERIFY with HEAL repairs a damaged store from a copy, and its backups restore', async () => {
  const {desk, deps, run} = openBench();
  await run(createC(true));
  await run('BACKUP c');
  desk.exec("UPDATE orders SET txt = 'changed' WHERE id = 2");
  await run('BACKUP c INCREMENTAL');
  await run(`COPY BACKUP COLLECTION c TO 'fs::root=${desk.folder}/copy'`);
  for (const [at, key] of desk
    .storedKeys()
    .filter((one) => one.startsWith('packs/'))
    .entries()) {
    const file = join(desk.cluster, key);
    const bytes = readFileSync(file);
    bytes[10]! ^= 1;
    writeFileSync(file, at === 0 ? bytes.subarray(0, 100) : bytes);
  }
  await expect(run('VERIFY c')).rejects.toThrow();
  // The copy is in neither store of the profile.
  await expect(run("VERIFY c WITH (HEAL = 'true')")).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  await expect(run("VERIFY c WITH (HEAL = 'cluster')")).rejects.toMatchObject({code: 'BAD_REQUEST'});
  await expect(run(`VERIFY c WITH (HEAL = 'fs::root=${desk.folder}/none')`)).rejects.toMatchObject({
    message: `there is no copy to heal from in fs::root=${desk.folder}/none`,
    next: expect.stringContaining('COPY BACKUP COLLECTION'),
  });
  const {result} = await run(`VERIFY c WITH (HEAL = 'fs::root=${desk.folder}/copy')`);
  const unneeded = expect.stringMatching(
    /^the store has damage that what was verified does not need: .*pack [0-9a-f]{64}/,
  );
  expect(result.notices).toEqual([
    expect.stringMatching(/^healed: \d+ chunks, .*; read from fs::root=.*copy$/),
    unneeded,
  ]);
  expect(result).toMatchObject({neverVerifiedBytes: 0});
  expect((await run('VERIFY c')).result.notices).toEqual([unneeded]);
  const damaged = desk.storedKeys().filter((key) => key.startsWith('packs/') && isDamaged(join(desk.cluster, key)));
  expect(damaged.length).toBeGreaterThan(1);
  // The damaged packs are still there, because they are young, and no index lists them any more.
  expect((await desk.bkp('collection', 'cleanup', '--wait')).status).toBe(0);
  expect(desk.storedKeys()).toEqual(expect.arrayContaining(damaged));
  expect((await run('VERIFY c')).result.notices).toEqual([unneeded]);
  for (const key of damaged) utimesSync(join(desk.cluster, key), 0, 0);
  expect((await desk.bkp('collection', 'cleanup', '--wait')).status).toBe(0);
  expect(desk.storedKeys().filter((key) => damaged.includes(key) || key.startsWith('damaged/'))).toEqual([]);
  expect((await run('VERIFY c')).result.notices).toBeUndefined();
  const before = desk.all('SELECT * FROM orders');
  desk.exec('DROP TABLE orders; DROP TABLE products');
  await run('RESTORE c');
  expect(desk.all('SELECT * FROM orders')).toEqual(before);
  expect(deps.err()).toBe('');
});

test.each([
  "VERIFY c WITH (LEVEL = 'restore', HEAL = 'true')",
  "VERIFY c WITH (LEVEL = 'structure', BUDGET = '1 GiB')",
  "VERIFY c WITH (BUDGET = '1 MiB')",
  "VERIFY DATABASE WITH (LEVEL = 'restore', BUDGET = '1 GiB')",
])('%s is refused', async (statement) => {
  await expect(openBench().run(statement)).rejects.toMatchObject({code: 'BAD_REQUEST'});
});
