import {spawnSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {listDatabaseBackups, planDatabaseRestore, restoreDatabase} from '../../src/database/index.ts';
import {openFileSource, openFileTarget} from '../../src/sources/index.ts';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {openVault} from '../../src/vault/index.ts';
import {surroundings, takeBackup} from './fakes.ts';

function kill(store: string, path: string, what: 'backup' | 'write' | 'publish'): void {
  const child = join(import.meta.dirname, 'children', 'killed.ts');
  const {signal, stderr} = spawnSync(process.execPath, [child, store, path, what], {encoding: 'utf8'});
  expect({signal, stderr}).toEqual({signal: 'SIGKILL', stderr: ''});
}

test('a backup and a restore that were killed are gone on with', async () => {
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
  // The killed one left a lease and no backup; the older one is whole, and the next one is taken.
  const vault = await open();
  expect(await listDatabaseBackups(vault)).toHaveLength(1);
  const restored = join(place, 'restored.db');
  const target = await openFileTarget('sqlite', restored);
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
