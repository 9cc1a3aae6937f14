import {expect, test} from 'vitest';
import {freedBytes} from '../../src/backups/index.ts';
import {listDatabaseBackups} from '../../src/database/index.ts';
import {contentOf, FakeDatabase, takeBackup} from '../database/fakes.ts';
import {newStore, noise, open} from '../vault/helpers.ts';

test('what removals would free is what each one and those before it need and nothing else does', async () => {
  const store = newStore();
  const vault = await open(store);
  const database = new FakeDatabase();
  database.blockBytes = 4096;
  database.set('shared by all', noise(30_000, 0));
  for (let n = 1; n <= 3; n++) {
    database.set('own', noise(10_000, n));
    // Of the first two only.
    database.set('older', noise(20_000, n < 3 ? 10 : 11));
    await takeBackup(vault, database);
  }
  expect(contentOf(database)).toBeDefined();
  const removals = (await listDatabaseBackups(vault)).map(({instance, backup}) => ({
    label: backup,
    keys: [`backup/${instance}/${backup}/manifest`],
  }));
  // Lists of chunks and of files are different in each backup.
  const near = (bytes: number) => ({asymmetricMatch: (found: number) => found >= bytes && found < bytes + 2000});
  expect(await freedBytes(vault, removals.slice(0, 1))).toEqual([near(10_000)]);
  expect(await freedBytes(vault, removals.slice(0, 2))).toEqual([near(10_000), near(30_000)]);
  expect(await freedBytes(vault, removals)).toEqual([near(10_000), near(30_000), near(60_000)]);
  const [{keys}] = removals as [(typeof removals)[0]];
  await store.put(keys[0]!, Buffer.from('damaged'));
  expect(await freedBytes(await open(store), removals.slice(1, 2))).toBeUndefined();
});
