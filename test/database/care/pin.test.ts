import {expect, test} from 'vitest';
import {
  applyRetention,
  type DatabaseBackupName,
  dropDatabaseBackup,
  listDatabaseBackups,
  pinDatabaseBackup,
  planDatabaseRestore,
  planDatabaseRetention,
  planDropDatabaseBackup,
  restoreDatabase,
  unpinDatabaseBackup,
} from '../../../src/database/index.ts';
import {keysOf, newStore, noise, open} from '../../vault/helpers.ts';
import {contentOf, FakeDatabase, FakeTarget, surroundings, takeBackup} from '../fakes.ts';

const nowMs = Date.UTC(2026, 6, 1);
const later = '2026-07-02T00:00:00.000Z';

/** Three backups without a common block. */
async function openShop() {
  const store = newStore();
  const vault = await open(store);
  const database = new FakeDatabase();
  const contents = [];
  for (let n = 0; n < 3; n++) {
    database.set('file', noise(10_000, n));
    await takeBackup(vault, database);
    contents.push(contentOf(database));
  }
  const summaries = await listDatabaseBackups(vault);
  const {instance} = summaries[0]!;
  const names = summaries.map(({backup}) => backup);
  const clock = {ms: nowMs};
  const tools = {...surroundings(), vault, nowMicros: () => clock.ms * 1000};
  return {
    ...{store, vault, contents, instance, clock},
    names: names as [DatabaseBackupName, DatabaseBackupName, DatabaseBackupName],
    left: async () => (await listDatabaseBackups(vault)).map(({backup}) => backup),
    pin: (backup: DatabaseBackupName, wish: {until?: string; reason?: string} = {}) =>
      pinDatabaseBackup(tools, {instance, backup, ...wish}),
    unpin: (backup: DatabaseBackupName) => unpinDatabaseBackup(tools, {instance, backup}),
    drop: (backup: DatabaseBackupName) => dropDatabaseBackup(tools, {instance, backup}, 'cleanup/1'),
    plan: async () => planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 1}, clock.ms),
    async cleanUp() {
      return applyRetention(tools, await this.plan(), 'cleanup/1');
    },
    async restored(backup: DatabaseBackupName) {
      const {timestampMicros} = (await listDatabaseBackups(vault)).find((one) => one.backup === backup)!;
      const target = new FakeTarget();
      const plan = await planDatabaseRestore({vault, target}, {at: timestampMicros});
      await restoreDatabase({...surroundings(), vault, target}, plan);
      return target.published;
    },
  };
}

test('a pinned backup of a database stays until its pin ends', async () => {
  const shop = await openShop();
  const [a, b, c] = shop.names;
  await shop.pin(a, {until: later, reason: 'audit'});
  await shop.pin(b);
  expect((await shop.plan()).verdicts.map(({goes, why, rules}) => [goes, why, rules])).toEqual([
    [false, 'number 1 of the 1 newest', ['last']],
    [false, 'pinned', ['pin']],
    [false, 'pinned until 2026-07-02T00:00:00Z: audit', ['pin']],
  ]);
  expect((await shop.unpin(b))?.until).toBeUndefined();
  await shop.cleanUp();
  expect(await shop.left()).toEqual([a, c]);
  expect(await shop.restored(a)).toEqual(shop.contents[0]);
  shop.clock.ms = Date.parse(later);
  await shop.cleanUp();
  expect(await shop.left()).toEqual([c]);
  expect((await keysOf(shop.store, 'backup/')).filter((key) => key.includes('/pins/'))).toEqual([]);
});

test('a pin that arrives after the plan was made stops its execution', async () => {
  const shop = await openShop();
  const plan = await shop.plan();
  await shop.pin(shop.names[0]);
  const tools = {...surroundings(), vault: shop.vault};
  await expect(applyRetention(tools, plan, 'cleanup/1')).rejects.toMatchObject({code: 'PRECONDITION'});
  expect(await shop.left()).toEqual(shop.names);
});

test('a pinned backup survives an older bkp, which removes its manifest', async () => {
  const shop = await openShop();
  const [a] = shop.names;
  await shop.pin(a);
  await shop.store.delete([`backup/${shop.instance}/${a}/manifest`]);
  await shop.cleanUp();
  expect(await shop.left()).toEqual([a, shop.names[2]]);
  expect(await shop.restored(a)).toEqual(shop.contents[0]);
});

test('DROP removes one backup of a database and frees its space, unless it is pinned', async () => {
  const shop = await openShop();
  const [a, b, c] = shop.names;
  await shop.pin(b);
  await expect(shop.drop(b)).rejects.toMatchObject({
    code: 'PRECONDITION',
    next: expect.stringContaining('UNPIN DATABASE BACKUP'),
  });
  expect((await shop.drop(c)).freedBytes).toBeGreaterThan(9000);
  expect(await shop.left()).toEqual([a, b]);
  await shop.unpin(b);
  const {keys} = await planDropDatabaseBackup(shop.vault, {instance: shop.instance, backup: b, nowMs});
  // Its own manifest, the pin and its end.
  expect(keys).toHaveLength(3);
  await shop.drop(b);
  expect(await shop.left()).toEqual([a]);
  expect((await keysOf(shop.store, 'backup/')).filter((key) => key.includes('/pins/'))).toEqual([]);
  await expect(shop.drop(b)).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
  expect(await shop.restored(a)).toEqual(shop.contents[0]);
});
