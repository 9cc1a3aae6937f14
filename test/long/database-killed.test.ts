import {spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {listDatabaseBackups, planDatabaseRestore, restoreDatabase} from '../../src/database/index.ts';
import {openFileSource, openFileTarget} from '../../src/sources/index.ts';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {chunkId, openVault} from '../../src/vault/index.ts';
import {FakeDatabase, surroundings, takeBackup} from '../database/fakes.ts';
import {noise} from '../vault/helpers.ts';

function kill(store: string, path: string, what: 'backup' | 'write' | 'publish'): void {
  const child = join(import.meta.dirname, 'children', 'killed.ts');
  const {signal, stderr} = spawnSync(process.execPath, [child, store, path, what], {encoding: 'utf8'});
  expect({signal, stderr}).toEqual({signal: 'SIGKILL', stderr: ''});
}

test('the next backup and the next restore continue after one that was killed', async () => {
  const place = mkdtempSync(join(tmpdir(), 'bkp-killed-'));
  onTestFinished(() => rmSync(place, {recursive: true, force: true}));
  const [root, path] = [join(place, 'store'), join(place, 'app.db')];
  const fill = (blobs: number) => {
    const db = new DatabaseSync(path);
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (a)');
    for (let n = 0; n < blobs; n++) db.exec('INSERT INTO t VALUES (randomblob(60000))');
    db.close();
  };
  fill(30);
  const store = await openDirectoryStore({root, create: true});
  const open = () => openVault({store, create: true});
  await takeBackup(await open(), await openFileSource({scheme: 'sqlite', path}));
  const first = readFileSync(path);
  fill(30);
  kill(root, path, 'backup');
  // The killed process left a lease and no backup. The older backup is intact, and the next one succeeds.
  const vault = await open();
  expect(await listDatabaseBackups(vault)).toHaveLength(1);
  const restored = join(place, 'restored.db');
  const target = await openFileTarget('sqlite', {place: restored});
  const restore = async () =>
    restoreDatabase({...surroundings(), vault, target}, await planDatabaseRestore({vault, target}, {}));
  kill(root, restored, 'write');
  expect(readdirSync(place).filter((name) => name.startsWith('restored'))).toEqual(['restored.db.bkp-restore.part']);
  expect((await restore()).filesTakenOver).toBe(0);
  expect(readFileSync(restored).equals(first)).toBe(true);
  rmSync(restored);
  kill(root, restored, 'publish');
  expect((await restore()).filesTakenOver).toBe(1);
  expect(readFileSync(restored).equals(first)).toBe(true);
  await takeBackup(vault, await openFileSource({scheme: 'sqlite', path}));
  rmSync(restored);
  await restore();
  expect(readFileSync(restored).equals(readFileSync(path))).toBe(true);
  expect(readdirSync(place).filter((name) => name.startsWith('restored'))).toEqual(['restored.db']);
});

test('a restore of a QuestDB that is killed repeatedly ends like one that is not', async () => {
  const place = mkdtempSync(join(tmpdir(), 'bkp-killed-'));
  onTestFinished(() => rmSync(place, {recursive: true, force: true}));
  const database = new FakeDatabase();
  database.blockBytes = 128 * 1024;
  for (let day = 1; day <= 4; day++) {
    database.set(`db/a~1/2026-01-0${day}/x.d`, noise(3 * 1024 * 1024 + day, day), {table: 'a'});
    database.set(`db/a~1/2026-01-0${day}/s.d`, noise(1000, day + 50), {table: 'a', zeroTailBytes: 4096});
  }
  database.set('.checkpoint/db/a~1/_txn', 'txn', {table: 'a'});
  const storeRoot = join(place, 'store');
  const vault = await openVault({store: await openDirectoryStore({root: storeRoot, create: true}), create: true});
  await takeBackup(vault, database);
  const restore = async (root: string) => {
    const target = await openFileTarget('questdb', {place: root});
    return restoreDatabase({...surroundings(), vault, target}, await planDatabaseRestore({vault, target}, {}));
  };
  const contentsOf = (root: string) =>
    readdirSync(root, {recursive: true, withFileTypes: true})
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [file.slice(root.length), chunkId(readFileSync(file))]);
  const [whole, root] = [join(place, 'whole'), join(place, 'root')];
  await restore(whole);
  const child = join(import.meta.dirname, 'children', 'killed-restore.ts');
  // Each try takes over the files that the one before completed, so it gets further.
  for (const file of ['0', '2', '1', '3', 'none']) {
    const {signal, stderr} = spawnSync(process.execPath, [child, storeRoot, root, file], {encoding: 'utf8'});
    expect({signal, stderr}).toEqual({signal: 'SIGKILL', stderr: ''});
    expect(existsSync(join(root, '_restore'))).toBe(false);
  }
  expect((await restore(root)).filesTakenOver).toBe(9);
  expect(contentsOf(root)).toEqual(contentsOf(whole));
});
