import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {type BackupName, copyCollection, createCollection, planCopy} from '../../../src/collections/index.ts';
import {openMemoryStore, type Store} from '../../../src/stores/index.ts';
import {type Bench, inProcess} from '../../helpers/in-process.ts';
import {type DatabaseImage, imageOf} from '../../helpers/sqlite-compare.ts';
import {changed, keysOf, open} from '../../vault/helpers.ts';

test('COPY into the store that takes the backups restores what is lost, and is refused if nothing is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-copy-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const db = new DatabaseSync(database);
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)');
  db.close();
  const store = openMemoryStore();
  const bench = inProcess({database, openStore: async () => store});
  const tools = {nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)};
  const request = {name: 'c', members: {kind: 'database' as const}, settings: [], ifNotExists: false};
  await bench.vault((vault) => createCollection({...tools, vault}, request));
  const names = [await bench.backup('c', 'full'), await bench.backup('c', 'full')];
  const [home, copy] = [await open(store), await open(openMemoryStore())];
  const work = {...tools, signal: new AbortController().signal, progress: () => {}, notice: () => {}};
  const into = {collection: 'c', storage: 's3' as const, operation: 'copy/1'};
  expect(await copyCollection({...work, from: home, to: copy}, into)).toMatchObject({backups: 2});
  const back = {collection: 'c', point: undefined, isHome: true};
  const nothing = expect.stringContaining('nothing to copy');
  expect(await planCopy({from: copy, to: home}, back)).toEqual({nothing});
  await expect(planCopy({from: home, to: home}, back)).rejects.toMatchObject({code: 'BAD_REQUEST'});
  await store.delete([`.backups/collections/c/${names[0]}/manifest`]);
  expect(await planCopy({from: copy, to: home}, back)).toEqual({});
  expect(await planCopy({from: copy, to: home}, {...back, point: names[1]})).toEqual({nothing});
  expect(await copyCollection({...work, from: copy, to: home}, into)).toMatchObject({backups: 1});
  await bench.restore('c', join(folder, 'new.db'), names[0]);
});

type Shop = {
  folder: string;
  store: Store;
  bench: Bench;
  /** Each backup, its own pack, and its content. */
  backups: {name: BackupName; pack: string; image: DatabaseImage}[];
};

/**
 * A collection `c` with three full backups. The two later ones share only what is in the pack of the first.
 */
async function openShop(): Promise<Shop> {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-copy-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    db.exec(sql);
    db.close();
  };
  exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t VALUES (1, NULL)');
  const store = openMemoryStore();
  const bench = inProcess({database, openStore: async () => store});
  const request = {name: 'c', members: {kind: 'database' as const}, settings: [], ifNotExists: false};
  await bench.vault((vault) =>
    createCollection({vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)}, request),
  );
  const backups: Shop['backups'] = [];
  for (let n = 0; n < 3; n++) {
    exec('UPDATE t SET v = randomblob(20000)');
    const before = await keysOf(store, 'packs/');
    const name = await bench.backup('c', 'full');
    const [pack] = (await keysOf(store, 'packs/')).filter((key) => !before.includes(key));
    backups.push({name, pack: pack!, image: imageOf(database)});
  }
  return {folder, store, bench, backups};
}

/** COPY of all backups, through newly opened vaults. */
async function copy(from: Store, to: Store, backup?: BackupName) {
  const notices: string[] = [];
  const tools = {
    nowMicros: () => Date.now() * 1000,
    signal: new AbortController().signal,
    progress: () => {},
    notice: (text: string) => void notices.push(text),
    from: await open(from),
    to: await open(to),
  };
  const one = backup === undefined ? {} : {backup};
  const report = await copyCollection(tools, {collection: 'c', storage: 'cluster', operation: 'copy/1', ...one});
  return {...report, notices};
}

const benchOf = (store: Store) => inProcess({database: 'unused', openStore: async () => store});

let files = 0;
async function restores({folder}: Shop, store: Store, {name, image}: Shop['backups'][number]): Promise<void> {
  const target = join(folder, `restored-${++files}.db`);
  await benchOf(store).restore('c', target, name);
  expect(imageOf(target)).toEqual(image);
}

const flip = async (store: Store, key: string) => store.put(key, changed(await store.get(key), 500));

test('COPY repairs exactly what the target has lost', async () => {
  const shop = await openShop();
  for (const how of [
    'removed',
    'empty',
    'cut off',
    'flipped and verified',
    'removed with every index',
    'all removed',
  ]) {
    const target = openMemoryStore();
    expect(await copy(shop.store, target)).toMatchObject({backups: 3, mended: 0, notices: []});
    expect(await copy(shop.store, target)).toMatchObject({backups: 0, mended: 0, storedBytes: 0, notices: []});
    const packs = await keysOf(target, 'packs/');
    const bytes = await target.get(packs[0]!);
    if (how === 'empty') await target.put(packs[0]!, new Uint8Array());
    else if (how === 'cut off') await target.put(packs[0]!, bytes.subarray(0, -10));
    else if (how === 'flipped and verified') {
      await flip(target, packs[0]!);
      await expect(benchOf(target).verify('c')).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
    } else if (how === 'removed') await target.delete([packs[0]!]);
    else if (how === 'removed with every index') await target.delete([packs[0]!, ...(await keysOf(target, 'index/'))]);
    else await target.delete(packs);
    const report = await copy(shop.store, target);
    expect(report, how).toMatchObject({backups: 0});
    expect(report.mended, how).toBeGreaterThan(0);
    expect(report.notices, how).toHaveLength(report.mended);
    for (const backup of shop.backups) await restores(shop, target, backup);
    expect(await copy(shop.store, target), how).toMatchObject({mended: 0, storedBytes: 0});
    await benchOf(target).verify('c');
  }
});

test('COPY names what is damaged in the source, and copies everything else', async () => {
  const shop = await openShop();
  const [, damaged] = shop.backups;
  const whole = shop.backups.filter((backup) => backup !== damaged);
  for (const how of ['flipped', 'removed', 'manifest']) {
    const [source, target] = [openMemoryStore(), openMemoryStore()];
    for (const key of await keysOf(shop.store)) await source.put(key, await shop.store.get(key));
    if (how === 'flipped') await flip(source, damaged!.pack);
    else if (how === 'removed') await source.delete([damaged!.pack]);
    else await source.put(`.backups/collections/c/${damaged!.name}/manifest`, Buffer.from('{}'));
    for (let again = 0; again < 2; again++) {
      await expect(copy(source, target), how).rejects.toMatchObject({
        code: 'DAMAGE_FOUND',
        message: expect.stringContaining('1 of 3'),
        details: [expect.stringContaining(damaged!.name)],
      });
      expect(await benchOf(target).backups('c')).toEqual(whole.map(({name}) => name));
      for (const backup of whole) await restores(shop, target, backup);
    }
    await expect(copy(source, target, damaged!.name)).rejects.toMatchObject({
      code: expect.stringMatching(/^OBJECT_(DAMAGED|MISSING)$/),
    });
  }
});

test('COPY does not fail for a backup that is complete in the target and damaged in the source', async () => {
  const shop = await openShop();
  const target = openMemoryStore();
  await copy(shop.store, target);
  await shop.store.delete([shop.backups[2]!.pack]);
  await shop.store.put(`.backups/collections/c/${shop.backups[1]!.name}/manifest`, Buffer.from('{}'));
  expect(await copy(shop.store, target)).toMatchObject({
    backups: 0,
    mended: 0,
    notices: [expect.stringContaining(shop.backups[1]!.name)],
  });
  // A backup that both have lost cannot be copied; one that either has can.
  await target.delete(await keysOf(target, 'packs/'));
  await expect(copy(shop.store, target)).rejects.toMatchObject({
    details: [expect.stringContaining(shop.backups[2]!.name)],
  });
  for (const backup of shop.backups.slice(0, 2)) await restores(shop, target, backup);
});

test('the store that takes the backups gets lost data back from a copy', async () => {
  const shop = await openShop();
  const target = openMemoryStore();
  await copy(shop.store, target);
  const back = {collection: 'c', point: undefined, isHome: true};
  const plan = async () => planCopy({from: await open(target), to: await open(shop.store)}, back);
  expect(await plan()).toHaveProperty('nothing');
  await shop.store.delete([shop.backups[0]!.pack]);
  expect(await plan()).toEqual({});
  expect(await copy(target, shop.store)).toMatchObject({backups: 0, mended: 1});
  await restores(shop, shop.store, shop.backups[0]!);
});

test('a damaged manifest or definition in the target affects nothing else there', async () => {
  const shop = await openShop();
  const target = openMemoryStore();
  await copy(shop.store, target, shop.backups[1]!.name);
  const manifest = `.backups/collections/c/${shop.backups[1]!.name}/manifest`;
  await flip(target, manifest);
  await expect(copy(shop.store, target)).rejects.toMatchObject({
    next: expect.stringContaining(`remove ${manifest}`),
    details: [expect.stringContaining(shop.backups[1]!.name)],
  });
  expect((await benchOf(target).backups('c')).length).toBe(3);
  // The reported next step works.
  await target.delete([manifest]);
  expect(await copy(shop.store, target)).toMatchObject({backups: 1});
  for (const key of await keysOf(target, '.backups/collections/c/definition/')) await flip(target, key);
  expect(await copy(shop.store, target)).toMatchObject({backups: 0, mended: 0});
  for (const backup of shop.backups) await restores(shop, target, backup);
  expect(
    await planCopy({from: await open(shop.store), to: await open(target)}, {collection: 'c', point: undefined}),
  ).toEqual({});
});
