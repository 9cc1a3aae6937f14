import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {onTestFinished} from 'vitest';
import {
  alterCollection,
  type BackupName,
  type BackupType,
  cleanUp,
  createCollection,
  dropCollection,
  type PinRequest,
  pinBackup,
  planRetention,
  unpinBackup,
} from '../../../src/collections/index.ts';
import {openMemoryStore, type Store} from '../../../src/stores/index.ts';
import type {Vault} from '../../../src/vault/index.ts';
import {inProcess} from '../../helpers/in-process.ts';

export const startMs = Date.UTC(2026, 6, 1);

/** A collection `c` of one table, which keeps one backup, in a memory store. */
export async function openShop(wrap: (store: Store) => Store = (store) => store) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-pin-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const clock = {ms: startMs};
  const memory = openMemoryStore({nowMs: () => clock.ms});
  const nowMicros = () => clock.ms * 1000;
  const bench = inProcess({database, openStore: async () => wrap(memory), nowMicros});
  const tools = (vault: Vault) => ({vault, nowMicros, randomId: () => 'c'.repeat(32)});
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    db.exec(sql);
    db.close();
  };
  exec('PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT)');
  await bench.vault((vault) =>
    createCollection(tools(vault), {
      name: 'c',
      members: {kind: 'database'},
      settings: [
        {key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'},
        {key: 'KEEP_LATEST', value: '1'},
      ],
      ifNotExists: false,
    }),
  );
  return {
    ...{bench, memory, clock, exec, folder, database},
    async take(...types: BackupType[]): Promise<BackupName[]> {
      const names: BackupName[] = [];
      for (const type of types) {
        exec("INSERT INTO t (at) VALUES ('now'); DELETE FROM t WHERE id % 3 = 1");
        names.push(await bench.backup('c', type));
      }
      return names;
    },
    pin: (backup: BackupName, wish: Partial<PinRequest> = {}) =>
      bench.vault((vault) => pinBackup(tools(vault), {collection: 'c', point: backup, ...wish})),
    unpin: (backup: BackupName) => bench.vault((vault) => unpinBackup(tools(vault), {collection: 'c', point: backup})),
    drop: () => bench.vault((vault) => dropCollection(tools(vault), {name: 'c', ifExists: false})),
    dropBackup: (backup: BackupName, readerOf: (backup: BackupName) => string | undefined = () => undefined) =>
      bench.vault(async (vault) => {
        const tools = {vault, nowMicros, signal: new AbortController().signal, progress: () => {}, notice: () => {}};
        await cleanUp(tools, 'test', {collection: 'c', drop: backup, readerOf});
      }),
    plan: () => bench.vault((vault) => planRetention(vault, 'c', {nowMs: clock.ms})),
    reset: (...keys: string[]) => bench.vault((vault) => alterCollection(tools(vault), 'c', [{kind: 'reset', keys}])),
    pinKeys: () => [...memory.objects.keys()].filter((key) => key.includes('/pins/')),
  };
}
