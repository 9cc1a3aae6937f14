import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {collectionStandings, createCollection, listCollections, planRetention} from '../../src/collections/index.ts';
import {listDatabaseBackups, listInstances} from '../../src/database/index.ts';
import {openMemoryStore} from '../../src/stores/index.ts';
import type {Vault} from '../../src/vault/index.ts';
import {FakeDatabase, takeBackup} from '../database/fakes.ts';
import {inProcess} from '../helpers/in-process.ts';

// A manifest that arrived after its writer's lease had ended: a verdict beside it declares it void, and every reader
// follows the verdict.

async function openShop() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-void-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    db.exec(sql);
    db.close();
  };
  exec('PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)');
  const store = openMemoryStore();
  const bench = inProcess({database, openStore: async () => store});
  const makeVoid = async (vault: Vault, manifest: string) => {
    const {lease} = await vault.manifest(manifest);
    const key = `${manifest.slice(0, -'manifest'.length)}verdict/${lease}`;
    await store.put(key, Buffer.from('void'));
    return key;
  };
  return {folder, database, exec, bench, makeVoid, store};
}

test('a void backup of a collection is not listed, not restored and not counted by KEEP_LATEST', async () => {
  const {folder, exec, bench, makeVoid, store} = await openShop();
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        name: 'shop',
        members: {kind: 'tables', tables: ['t']},
        settings: [{key: 'KEEP_LATEST', value: '1'}],
        ifNotExists: false,
      },
    ),
  );
  const good = await bench.backup('shop', 'full');
  exec('INSERT INTO t VALUES (2)');
  const late = await bench.backup('shop', 'full');
  const verdict = await bench.vault((vault) => makeVoid(vault, `.backups/collections/shop/${late}/manifest`));
  // A report comes between the manifest and its verdict in a listing.
  const report = `.backups/collections/shop/${late}/reports/20261121T120000Z_data_passed_0a1b2c3d`;
  await store.put(report, Buffer.from('a report'));
  expect(await bench.backups('shop')).toEqual([good]);
  await bench.vault(async (vault) => {
    expect(await listCollections(vault)).toMatchObject([{backups: 1, newest: good}]);
    expect(await collectionStandings(vault)).toMatchObject([{backups: 1, newest: {name: good}}]);
    expect((await planRetention(vault, 'shop', {nowMs: Date.now()})).verdicts).toMatchObject([
      {backup: good, goes: false},
    ]);
  });
  await store.delete([report]);
  await bench.verify('shop');
  const target = join(folder, 'restored.db');
  await bench.restore('shop', target);
  const db = new DatabaseSync(target);
  expect(db.prepare('SELECT id FROM t').all()).toEqual([{id: 1}]);
  db.close();
  await expect(bench.restore('shop', join(folder, 'other.db'), late)).rejects.toMatchObject({
    code: 'BACKUP_NOT_FOUND',
  });
  await bench.cleanUp('shop');
  expect(await bench.backups('shop')).toEqual([good]);
  expect([...store.objects.keys()].filter((key) => key.includes(late))).toEqual([verdict]);
});

test('a void backup of a database is not listed, and the next backup succeeds', async () => {
  const {bench, makeVoid} = await openShop();
  await bench.vault(async (vault) => {
    const source = new FakeDatabase();
    source.set('a', 'one');
    const {instance} = await takeBackup(vault, source);
    source.set('a', 'two');
    const late = await takeBackup(vault, source, {instance});
    await makeVoid(vault, `backup/${instance}/${late.backup}/manifest`);
    expect(await listDatabaseBackups(vault)).toHaveLength(1);
    expect(await listInstances(vault)).toMatchObject([{backups: {length: 1}}]);
    await takeBackup(vault, source, {instance});
    expect(await listDatabaseBackups(vault)).toHaveLength(2);
  });
});
