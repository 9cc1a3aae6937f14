import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {planBackup, takeBackup} from '../../../src/collections/index.ts';
import {openSource, type TableSource} from '../../../src/sources/index.ts';
import {collectDatabase, inProcess} from '../../helpers/in-process.ts';

/** A source whose schema changes between the listing of its tables and the snapshot, while there are changes. */
function changing(source: TableSource, exec: (sql: string) => void, changes: string[]): TableSource {
  return new Proxy(source, {
    get(target, name, receiver) {
      const value = Reflect.get(target, name, receiver) as unknown;
      if (name !== 'snapshot') return typeof value === 'function' ? value.bind(target) : value;
      return (options: Parameters<TableSource['snapshot']>[0]) => {
        const change = changes.shift();
        if (change !== undefined) exec(change);
        return target.snapshot(options);
      };
    },
  });
}

function open() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-meanwhile-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const use = <T>(act: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(database);
    try {
      return act(db);
    } finally {
      db.close();
    }
  };
  const exec = (sql: string) => use((db) => db.exec(sql));
  const bench = inProcess({database, cluster: join(folder, 'cluster')});
  /** Takes a backup. @returns the tables in it */
  const backup = (type: 'full' | 'incremental', changes: string[]) =>
    bench.vault(async (vault) => {
      const source = changing(await openSource({scheme: 'sqlite', path: database}), exec, changes);
      const nowMicros = () => Date.now() * 1000;
      const name = await planBackup(vault, source, {collection: 'c', type, nowMicros: nowMicros()});
      const signal = new AbortController().signal;
      const tools = {vault, source, nowMicros, signal, progress: () => {}, notice: () => {}};
      const report = await takeBackup(tools, {collection: 'c', type, name, operation: 'test'});
      const manifest = await vault.manifest(`.backups/collections/c/${report.backup}/manifest`);
      const {tables} = manifest.body as {tables: readonly {schema: {name: string}}[]};
      return tables.map(({schema}) => schema.name);
    });
  return {bench, exec, backup};
}

test('tables that are created or dropped while a backup begins are those of its snapshot', async () => {
  const {bench, exec, backup} = open();
  exec('CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY)');
  await collectDatabase(bench);
  expect(await backup('full', ['CREATE TABLE c (id INTEGER PRIMARY KEY)'])).toEqual(['a', 'b', 'c']);
  expect(await backup('incremental', ['DROP TABLE b', 'CREATE TABLE d (id INTEGER PRIMARY KEY)'])).toEqual([
    'a',
    'c',
    'd',
  ]);
  const always = Array.from({length: 10}, (_, n) => `CREATE TABLE t${n} (id INTEGER PRIMARY KEY)`);
  await expect(backup('incremental', always)).rejects.toMatchObject({
    code: 'BUSY',
    message: expect.stringContaining('created or dropped while the backup began'),
  });
});
