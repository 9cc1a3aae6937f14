import {expect, test} from 'vitest';
import {planDatabaseRestore, restoreIntactTables} from '../../../src/database/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import {keysOf, newStore, noise, open} from '../../vault/helpers.ts';
import {contentOf, FakeDatabase, FakeTarget, surroundings, takeBackup} from '../fakes.ts';

const tables = ['a', 'b', 'c', 'd', 'e'];

function someDatabase(): FakeDatabase {
  const database = new FakeDatabase();
  database.set('db/tables.d.0', noise(100, 99));
  for (const [at, table] of tables.entries())
    for (let n = 0; n < 4; n++) database.set(`db/${table}/${n}.d`, noise(400, 10 * at + n), {table});
  return database;
}

/** Changes a byte of the block in the pack that has it. */
async function damage(store: Store, bytes: Uint8Array): Promise<void> {
  for (const key of await keysOf(store, 'packs/')) {
    const pack = Buffer.from(await store.get(key));
    const at = pack.indexOf(bytes);
    if (at === -1) continue;
    pack[at + 5]! ^= 1;
    await store.put(key, pack);
    return;
  }
  throw new Error('no pack has these bytes');
}

async function partial(store: Store, only?: readonly string[]) {
  const vault = await open(store);
  const plan = await planDatabaseRestore({vault}, {partial: true, tables: only}, {fetchBytes: false});
  const target = new FakeTarget();
  const opened: (readonly string[] | undefined)[] = [];
  const openTarget = async (wanted: readonly string[] | undefined) => {
    opened.push(wanted);
    // As a target does that is opened for other tables.
    target.staged.clear();
    return target;
  };
  const report = await restoreIntactTables({...surroundings(), vault, openTarget}, plan);
  return {report, target, opened};
}

test('the tables that are intact are restored, and each of the others is named with the reason', async () => {
  const [store, database] = [newStore(), someDatabase()];
  await takeBackup(await open(store), database);
  await damage(store, database.files.get('db/b/3.d')!.bytes.subarray(64, 128));
  await damage(store, database.files.get('db/d/0.d')!.bytes.subarray(0, 64));
  const {report, target, opened} = await partial(store);
  expect(report.missing).toEqual([
    {name: 'b', why: expect.stringMatching(/^db\/b\/3\.d: /)},
    {name: 'd', why: expect.stringMatching(/^db\/d\/0\.d: /)},
  ]);
  expect(opened).toEqual([undefined, ['a', 'c', 'e']]);
  expect(target.published).toEqual(contentOf(database, ({table}) => table !== 'b' && table !== 'd'));
  expect(target.failed).toBeUndefined();
  const asked = await partial(store, ['a', 'b']);
  expect(asked.report.missing?.map(({name}) => name)).toEqual(['b']);
  expect(asked.target.published).toEqual(contentOf(database, ({table}) => table === undefined || table === 'a'));
});

test('an intact backup comes completely, and is no partial result', async () => {
  const [store, database] = [newStore(), someDatabase()];
  await takeBackup(await open(store), database);
  const {report, target} = await partial(store);
  expect(report.missing).toBeUndefined();
  expect(target.published).toEqual(contentOf(database));
});

test.each([
  ['a file that belongs to no table', ['db/tables.d.0']],
  ['every table', tables.map((table) => `db/${table}/1.d`)],
])('damage of %s restores nothing', async (_, paths) => {
  const [store, database] = [newStore(), someDatabase()];
  await takeBackup(await open(store), database);
  for (const path of paths) await damage(store, database.files.get(path)!.bytes.subarray(0, 64));
  await expect(partial(store)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
});

test('a missing pack leaves out the tables that it has, and a plan names them', async () => {
  const [store, database] = [newStore(), someDatabase()];
  await takeBackup(await open(store), database);
  const before = await keysOf(store, 'packs/');
  // Only the data of this file is in the pack: the lists are short, and in the manifest.
  const writer = await (await open(store)).writer({purpose: 'test'});
  const blocks = noise(1600, 777);
  for (let at = 0; at < 1600; at += 64) await writer.write([{bytes: blocks.subarray(at, Math.min(at + 64, 1600))}]);
  await writer.flush();
  await writer.close();
  const [added] = (await keysOf(store, 'packs/')).filter((key) => !before.includes(key));
  database.set('db/c/9.d', blocks, {table: 'c'});
  await takeBackup(await open(store), database);
  await store.delete([added!]);
  expect((await planDatabaseRestore({vault: await open(store)}, {partial: true})).missing).toEqual([
    {name: 'c', why: expect.stringContaining('is missing or has the wrong length')},
  ]);
  const {report, target} = await partial(store);
  expect(report.missing?.map(({name}) => name)).toEqual(['c']);
  expect(target.published).toEqual(contentOf(database, ({table}) => table !== 'c'));
});
