import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {beforeEach, expect, test, vi} from 'vitest';
import {backupsOf, createC, type Desk, openDesk} from '../helpers/desk.ts';
import {type Direct, runDirectly} from '../helpers/run-directly.ts';
import {makeAllReadable, makeUnreadable} from '../helpers/unreadable-files.ts';

// What helps against damage also helps if the damage is a bad sector: the disk does not return an object.

vi.mock('../../src/lib/files.ts', async (original) => {
  const {withUnreadable} = await import('../helpers/unreadable-files.ts');
  return withUnreadable(await original());
});
beforeEach(makeAllReadable);

const filesIn = (folder: string): string[] =>
  readdirSync(folder, {recursive: true, encoding: 'utf8'})
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .sort();

const rows = (desk: Desk, file?: string) => desk.all('SELECT * FROM orders ORDER BY id', file);

async function restored(desk: Desk, statement: string): Promise<unknown[]> {
  const target = join(desk.folder, 'restored.db');
  desk.remove('restored.db');
  await runDirectly({...desk, database: target}).run(statement);
  return rows(desk, target);
}

/** Each of the two tables fills chunks of its own, far from the table of the pack. */
const large = ['orders', 'products']
  .map(
    (table) =>
      `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, number INTEGER, txt TEXT);
       WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
       INSERT INTO ${table} SELECT i, i, hex(randomblob(500)) FROM n;`,
  )
  .join('\n');

/** A collection with one full backup, and a complete copy of it in another folder. */
async function copied(schema?: string): Promise<{desk: Desk; run: Direct['run']; copy: string}> {
  const desk = openDesk(schema);
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  const copy = `fs::root=${join(desk.folder, 'copy')}`;
  await run(`COPY BACKUP COLLECTION c TO '${copy}'`);
  return {desk, run, copy};
}

test('HEAL writes again what the disk does not return', async () => {
  const {desk, run, copy} = await copied();
  for (const pack of filesIn(join(desk.cluster, 'packs'))) makeUnreadable(pack);
  await expect(restored(desk, 'RESTORE c')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  await run(`VERIFY c WITH (HEAL='${copy}')`);
  expect(await restored(desk, 'RESTORE c')).toEqual(rows(desk));
  await run('VERIFY c');
});

test('a full backup and a chain after it rely on nothing that a VERIFY could not read', async () => {
  const {desk, run} = await copied();
  for (const pack of filesIn(join(desk.cluster, 'packs'))) makeUnreadable(pack);
  await expect(run('VERIFY c')).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
    details: expect.arrayContaining([expect.stringMatching(/orders, products of c\/\d{14}Z_full: /)]),
  });
  expect(filesIn(join(desk.cluster, 'damaged')).length).toBeGreaterThan(0);
  await expect(run('BACKUP c INCREMENTAL')).rejects.toMatchObject({code: expect.stringMatching(/^OBJECT_/)});
  await run('BACKUP c INCREMENTAL OR FULL');
  expect(await restored(desk, 'RESTORE c')).toEqual(rows(desk));
});

test('a bad sector costs the chunks in it: VERIFY names their table, a partial restore has the others', async () => {
  const {desk, run} = await copied(large);
  const pack = filesIn(join(desk.cluster, 'packs')).find((path) => statSync(path).size > 1_000_000);
  makeUnreadable(pack!, {start: 0, end: 1});
  const found = await run('VERIFY c').then(
    () => undefined,
    (error) => error,
  );
  expect(found).toMatchObject({code: 'DAMAGE_FOUND', details: [expect.stringMatching(/^(orders|products) of c\//)]});
  const lost = /^orders /.test(found.details[0]) ? 'orders' : 'products';
  const target = join(desk.folder, 'rescued.db');
  const {result} = await runDirectly({...desk, database: target}).run("RESTORE c WITH (PARTIAL='true')");
  expect(JSON.stringify(result)).toContain(lost);
  const whole = lost === 'orders' ? 'products' : 'orders';
  expect(desk.all(`SELECT * FROM ${whole}`, target)).toEqual(desk.all(`SELECT * FROM ${whole}`));
});

test('COPY names a backup whose manifest cannot be read, and copies the others; DROP removes it', async () => {
  const {desk, run} = await copied();
  desk.exec('UPDATE orders SET number = number + 1');
  await run('BACKUP c');
  const [first, second] = await backupsOf(desk);
  makeUnreadable(join(desk.cluster, '.backups/collections/c', first!, 'manifest'));
  const other = `fs::root=${join(desk.folder, 'other')}`;
  await expect(run(`COPY BACKUP COLLECTION c TO '${other}'`)).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
    details: [expect.stringContaining(first!)],
  });
  const there = runDirectly({...desk, cluster: join(desk.folder, 'other')});
  expect((await there.run('SHOW BACKUPS IN c')).table!.rows.map(([name]) => name)).toEqual([second]);
  await run(`DROP BACKUP c AT '${first}'`);
  expect(await backupsOf(desk)).toEqual([second]);
  expect(await restored(desk, 'RESTORE c')).toEqual(rows(desk));
});

test('a disk that returns nothing is away: nothing is called damaged, and nothing is noted', async () => {
  const {desk, run} = await copied();
  for (const file of filesIn(desk.cluster)) makeUnreadable(file);
  for (const statement of ['VERIFY c', 'RESTORE c', 'BACKUP c'])
    await expect(run(statement), statement).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  expect(desk.has('cluster/damaged')).toBe(false);
  makeAllReadable();
  await run('VERIFY c');
});
