import {copyFileSync, mkdtempSync, renameSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection} from '../../../src/collections/index.ts';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {parseManifest, sealManifest} from '../../../src/vault/format/manifest.ts';
import type {JsonValue} from '../../../src/vault/index.ts';
import {inProcess} from '../../helpers/in-process.ts';

function exec(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

/** A collection `c` with one full backup of `app.db`. */
async function openShop(incremental: boolean) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-belongs-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const store = openMemoryStore();
  const at = (name: string) => join(folder, name);
  const on = (name: string) => inProcess({database: at(name), openStore: async () => store});
  const make = (name: string) => exec(at(name), `CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)`);
  make('app.db');
  const request = {
    name: 'c',
    members: {kind: 'database' as const},
    settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: String(incremental)}],
    ifNotExists: false,
  };
  await on('app.db').vault((vault) =>
    createCollection({vault, nowMicros: () => 1, randomId: () => 'c'.repeat(32)}, request),
  );
  const full = await on('app.db').backup('c', 'full');
  return {store, at, on, make, full};
}

const refused = {code: 'PRECONDITION', next: expect.stringContaining("BACKUP c WITH (ADOPT='true')")};

test.each([true, false])(
  'another database is refused until it is adopted; then the old one is refused (increments: %s)',
  async (incremental) => {
    const {on, make} = await openShop(incremental);
    make('other.db');
    await expect(on('other.db').backup('c', 'full')).rejects.toMatchObject(refused);
    await on('app.db').backup('c', 'full');
    await on('other.db').backup('c', 'full', {adopt: true});
    await on('other.db').backup('c', incremental ? 'incremental' : 'full');
    await expect(on('app.db').backup('c', 'full')).rejects.toMatchObject(refused);
  },
);

test('a copy is refused, also for an increment, until it is adopted; then it continues the chain', async () => {
  const {at, on} = await openShop(true);
  copyFileSync(at('app.db'), at('copy.db'));
  await expect(on('copy.db').backup('c', 'incremental')).rejects.toMatchObject({
    code: 'PRECONDITION',
    cause: expect.stringContaining('is a copy of it'),
    next: expect.stringContaining("BACKUP c INCREMENTAL WITH (ADOPT='true')"),
  });
  await on('copy.db').backup('c', 'incremental', {adopt: true});
  await on('copy.db').backup('c', 'incremental');
});

test.each([true, false])(
  "a renamed file, a link to it and a file that replaced it are the collection's database (increments: %s)",
  async (incremental) => {
    const {at, on} = await openShop(incremental);
    const next = incremental ? 'incremental' : 'full';
    renameSync(at('app.db'), at('renamed.db'));
    await on('renamed.db').backup('c', next);
    symlinkSync(at('renamed.db'), at('link.db'));
    await on('link.db').backup('c', next);
    exec(at('renamed.db'), `VACUUM INTO '${at('small.db')}'`);
    renameSync(at('small.db'), at('renamed.db'));
    await on('renamed.db').backup('c', next);
  },
);

test('a database that is restored at its place continues the chain', async () => {
  const {at, on} = await openShop(true);
  await on('app.db').backup('c', 'incremental');
  rmSync(at('app.db'));
  await on('app.db').restore('c', at('app.db'));
  await on('app.db').backup('c', 'incremental');
  await on('app.db').backup('c', 'full');
});

test('a database that an older backup is restored to continues with a full backup', async () => {
  const {at, on, full} = await openShop(true);
  await on('app.db').backup('c', 'incremental');
  rmSync(at('app.db'));
  await on('app.db').restore('c', at('app.db'), full);
  await expect(on('app.db').backup('c', 'incremental')).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
  await on('app.db').backup('c', 'full');
});

test('a database with another identity at the same place is refused', async () => {
  const {at, on, make} = await openShop(true);
  make('other.db');
  const elsewhere = openMemoryStore();
  const other = inProcess({database: at('other.db'), openStore: async () => elsewhere});
  await other.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => 1, randomId: () => 'd'.repeat(32)},
      {
        name: 'd',
        members: {kind: 'database'},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
        ifNotExists: false,
      },
    ),
  );
  await other.backup('d', 'full');
  renameSync(at('other.db'), at('app.db'));
  await expect(on('app.db').backup('c', 'full')).rejects.toMatchObject({
    ...refused,
    cause: expect.stringContaining('another identity'),
  });
});

test('backups of an older bkp without a recorded place are continued by identity, else by path', async () => {
  for (const incremental of [true, false]) {
    const {store, at, on, full} = await openShop(incremental);
    const key = `.backups/collections/c/${full}/manifest`;
    const manifest = await parseManifest(await store.get(key), key);
    const {source, ...body} = manifest.body as {source: {origin?: unknown}};
    const {origin: _, ...before} = source;
    await store.delete([key]);
    await store.put(key, await sealManifest({...manifest, body: {...body, source: before} as JsonValue}));
    if (incremental) {
      copyFileSync(at('app.db'), at('moved.db'));
      await on('moved.db').backup('c', 'incremental');
      await expect(on('app.db').backup('c', 'incremental')).rejects.toMatchObject({code: 'PRECONDITION'});
    } else {
      await on('app.db').backup('c', 'full');
    }
  }
});
