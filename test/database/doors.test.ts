import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {
  applyRetention,
  findDatabaseBackup,
  listDatabaseBackups,
  listInstances,
  planDatabaseRetention,
  verifyDatabaseBackups,
} from '../../src/database/index.ts';
import {
  backupNameAt,
  databaseManifestKey,
  instanceKey,
  nextDatabaseBackupName,
} from '../../src/database/stored/names.ts';
import {parseManifest, sealDocument, sealManifest} from '../../src/vault/format/manifest.ts';
import type {JsonValue} from '../../src/vault/index.ts';
import {lockingStore, newStore, open, serverStore} from '../vault/helpers.ts';
import {FakeDatabase, surroundings, takeBackup, toRemove} from './fakes.ts';

type Changed = {[key: string]: unknown};

function database(): FakeDatabase {
  const files = new FakeDatabase();
  files.set('file', 'x'.repeat(1000));
  return files;
}

test.each<[string, (body: Changed) => unknown]>([
  ['is nothing', () => null],
  ['has no database', (body) => ({...body, database: null})],
  ['has tables that are none', (body) => ({...body, database: {...(body.database as Changed), tables: 'x'}})],
  ['counts less than no bytes', (body) => ({...body, bytes: -1})],
  ['costs nothing that can be counted', (body) => ({...body, cost: 7})],
  ['is of another instance', (body) => ({...body, instance: 'one-two-three'})],
])('a backup whose manifest %s affects no other backup', async (_, change) => {
  const store = newStore();
  const vault = await open(store);
  const files = database();
  const first = await takeBackup(vault, files);
  const odd = await takeBackup(vault, files);
  const key = databaseManifestKey(odd.instance, odd.backup);
  const manifest = await parseManifest(await store.get(key), key);
  await store.delete([key]);
  await store.put(key, await sealManifest({...manifest, body: change(manifest.body as Changed) as JsonValue}));
  const listed = await listDatabaseBackups(vault);
  expect(listed.map(({backup, error}) => [backup, error === undefined])).toEqual([
    [first.backup, true],
    [odd.backup, false],
  ]);
  await expect(findDatabaseBackup(vault, {})).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  await takeBackup(vault, files);
  // It is not counted, so the first one stays; it is removed once enough complete ones are newer.
  expect(toRemove(planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 2}, Date.now()))).toEqual([]);
  await takeBackup(vault, files);
  const plan = planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 2}, Date.now());
  expect(toRemove(plan).map(({backup}) => backup)).toEqual([odd.backup, first.backup]);
  expect((await applyRetention({...surroundings(), vault}, plan, 'cleanup/1')).removed).toBe(2);
});

test("a folder whose name is not a backup's is ignored", async () => {
  const store = newStore();
  const vault = await open(store);
  const {instance, backup} = await takeBackup(vault, database());
  for (const odd of ['20261399T999999.999999Z', '20260230T000000.000000Z', '99991231T235959.999999Z']) {
    const key = databaseManifestKey(instance, odd as typeof backup);
    await store.put(key, await store.get(databaseManifestKey(instance, backup)));
  }
  expect(await listDatabaseBackups(vault)).toHaveLength(1);
  expect((await takeBackup(vault, database())).backup > backup).toBe(true);
});

test('an instance whose document belongs to another one affects no other instance', async () => {
  const store = newStore();
  const vault = await open(store);
  const [one, two] = [await takeBackup(vault, database()), await takeBackup(vault, new FakeDatabase('e'.repeat(32)))];
  await store.delete([instanceKey(one.instance)]);
  await store.put(instanceKey(one.instance), await store.get(instanceKey(two.instance)));
  const instances = await listInstances(vault);
  expect(instances.filter(({dataId}) => dataId === undefined).map(({name}) => name)).toEqual([one.instance]);
  expect((await takeBackup(vault, new FakeDatabase('e'.repeat(32)))).instance).toBe(two.instance);
  await store.delete([instanceKey(one.instance)]);
  await store.put(instanceKey(one.instance), await sealDocument({version: 9}));
  await takeBackup(vault, new FakeDatabase('e'.repeat(32)));
});

test('a clock beyond the range of microseconds takes no backup', () => {
  expect(() => nextDatabaseBackupName(Number.MAX_SAFE_INTEGER + 1e6, [])).toThrow(/2255/);
  const last = backupNameAt(Number.MAX_SAFE_INTEGER);
  expect(() => nextDatabaseBackupName(1, [last])).toThrow(/2255/);
});

test('a cleanup of locked objects reports how much it removed, and what stays until when', async () => {
  const clock = {nowMs: Date.UTC(2026, 0, 1)};
  const store = lockingStore(newStore(), clock, 30);
  const vault = await open(store, {graceMs: 0});
  const files = database();
  for (let n = 0; n < 3; n++) await takeBackup(vault, files);
  const notices: string[] = [];
  const tools = {...surroundings(), notice: (text: string) => notices.push(text), vault};
  const plan = planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 1}, Date.now());
  expect(await applyRetention(tools, plan, 'cleanup/1')).toEqual({removed: 0, freedBytes: 0});
  expect(notices).toEqual([expect.stringContaining('2 objects are under retention until 2026-01-31')]);
  expect(await listDatabaseBackups(vault)).toHaveLength(3);
});

test("VERIFY reads the store, not this machine's copies", async () => {
  const cache = mkdtempSync(join(tmpdir(), 'bkp-doors-'));
  onTestFinished(() => rmSync(cache, {recursive: true, force: true}));
  const store = serverStore();
  const vault = await open(store, {cacheFile: join(cache, 'index.db')});
  const {instance, backup} = await takeBackup(vault, database());
  const reads = async (look: () => Promise<unknown>) => {
    store.reads.length = 0;
    await look();
    return store.reads.filter((key) => key === databaseManifestKey(instance, backup)).length;
  };
  await listDatabaseBackups(vault);
  expect(await reads(() => listDatabaseBackups(vault))).toBe(0);
  expect(await reads(() => verifyDatabaseBackups({...surroundings(), vault}, {level: 'structure'}))).toBe(1);
  vault.close();
});
