import {existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {cleanUp, planCleanup} from '../../../src/collections/index.ts';
import {BkpError} from '../../../src/errors/index.ts';
import {openDirectoryStore, openMemoryStore, type Store, wrapStore} from '../../../src/stores/index.ts';
import {openVault, type Vault, vaultLayout} from '../../../src/vault/index.ts';

const tools = {nowMicros: () => 0, signal: new AbortController().signal, progress: () => {}, notice: () => {}};

test('a cleanup waits for a running backup, and other backups can start meanwhile', async () => {
  const store = openMemoryStore();
  const vault = await openVault({store, create: true});
  const other = await openVault({store, lockWaitMs: 100_000});
  const running = await vault.writer({purpose: 'a long backup', subject: 'collection a'});
  let ended = false;
  const cleanup = cleanUp({...tools, vault}, 'cleanup/1').finally(() => {
    ended = true;
  });
  const second = await other.writer({purpose: 'another backup', subject: 'collection b'});
  await second.close();
  expect(ended).toBe(false);
  await running.close();
  expect(await cleanup).toEqual({freedBytes: 0, backups: 0});
  vault.close();
  other.close();
});

test('a waiting cleanup can be cancelled', async () => {
  const vault = await openVault({store: openMemoryStore(), create: true});
  const running = await vault.writer({purpose: 'a long backup'});
  const cancel = new AbortController();
  const cleanup = cleanUp({...tools, vault, signal: cancel.signal}, 'cleanup/1');
  cancel.abort(new Error('cancelled'));
  await expect(cleanup).rejects.toThrow('cancelled');
  await running.close();
  vault.close();
});

/** A store in which `retained` objects are locked until a day in 2030. */
function locking(retained: (key: string) => boolean) {
  const inner = openMemoryStore();
  const untilMs = Date.UTC(2030, 0, 1);
  const state = {isOver: false};
  const store: Store = {
    ...inner,
    delete: async (keys) => {
      const staying = state.isOver ? [] : keys.filter(retained);
      await inner.delete(keys.filter((key) => !staying.includes(key)));
      return staying.map((key) => ({key, untilMs}));
    },
  };
  return {store, state, keys: () => [...inner.objects.keys()].filter((key) => key.startsWith('.backups/')).sort()};
}

const folder = '.backups/collections/shop/';
const definition = (n: number) => `${folder}definition/0000000${n}`;
const manifest = `${folder}20261121120000Z_full/manifest`;

/** A dropped collection with one backup. */
async function dropped(store: Store): Promise<Vault> {
  const vault = await openVault({store, create: true, graceMs: 0});
  const writer = await vault.writer({purpose: 'a test'});
  const facts = {version: 1, id: 'a'.repeat(32), name: 'shop', createdAt: '2026-11-21T12:00:00Z'};
  const rest = {members: {kind: 'database'}, settings: {storage: 'cluster', incremental: false, omitIndexes: false}};
  await writer.putDocument(definition(1), {...facts, ...rest, generation: 1});
  const recipe = await writer.write([{bytes: Buffer.from('rows')}]);
  await writer.commit(manifest, {kind: 'collection-backup', streams: [recipe], body: {}});
  const promise = {at: '2026-11-22T12:00:00Z', backups: ['20261121120000Z_full']};
  await writer.putDocument(definition(2), {...facts, ...rest, generation: 2, dropped: promise});
  await writer.close();
  return vault;
}

test('a cleanup of locked objects reports until when they stay, and the collection stays dropped', async () => {
  const {store, state, keys} = locking((key) => key === manifest || key.startsWith('packs/'));
  const vault = await dropped(store);
  const notices: string[] = [];
  const quiet = {...tools, vault, notice: (text: string) => notices.push(text)};
  expect(await cleanUp(quiet, 'cleanup/1')).toEqual({freedBytes: 0, backups: 0});
  expect(notices).toEqual([
    '1 object is under retention until 2030-01-01T00:00:00.000Z; a cleanup after that removes it',
  ]);
  expect(keys()).toEqual([manifest, definition(1), definition(2)]);
  state.isOver = true;
  expect(await cleanUp(quiet, 'cleanup/2')).toMatchObject({backups: 1});
  expect(keys()).toEqual([]);
  expect(notices).toHaveLength(1);
  vault.close();
});

test('a cleanup that is cancelled when backups are gone says so, and the next one frees their space', async () => {
  const {store, keys} = locking(() => false);
  const vault = await dropped(store);
  const cancel = new AbortController();
  const notices: string[] = [];
  const cancelled = cleanUp(
    {
      ...tools,
      vault,
      signal: cancel.signal,
      progress: ({phase}) => {
        if (phase === 'Removing backups') cancel.abort(new Error('cancelled'));
      },
      notice: (text) => notices.push(text),
    },
    'cleanup/1',
  );
  await expect(cancelled).rejects.toThrow('cancelled');
  expect(keys()).toEqual([]);
  expect(notices).toEqual(['the backups are removed already; the next cleanup frees the rest of their space']);
  expect((await cleanUp({...tools, vault}, 'cleanup/2')).freedBytes).toBeGreaterThan(0);
  vault.close();
});

test('a cleanup that fails when backups are gone says so, and one whose backups are not gone does not', async () => {
  for (const fault of ['packs stay', 'manifests stay'] as const) {
    const {store, keys} = locking(() => false);
    const vault = await dropped(
      wrapStore(store, {
        delete: async (all) => {
          if (fault === 'manifests stay') return store.delete(all.filter((key) => key !== manifest));
          if (all.some((key) => key.startsWith('packs/'))) throw new BkpError('STORE_DENIED', 'not allowed');
          return store.delete(all);
        },
      }),
    );
    const notices: string[] = [];
    const cleanup = cleanUp({...tools, vault, notice: (text) => notices.push(text)}, 'cleanup/1');
    const isGone = fault === 'packs stay';
    await expect(cleanup).rejects.toMatchObject({code: isGone ? 'STORE_DENIED' : 'STORE_UNAVAILABLE'});
    expect(keys().includes(manifest)).toBe(!isGone);
    const gone = 'the backups are removed already; the next cleanup frees the rest of their space';
    expect(notices).toEqual(isGone ? [gone] : []);
    vault.close();
  }
});

test('a definition that records the drop is removed only after all older ones', async () => {
  const {store, state, keys} = locking((key) => key === definition(1));
  const vault = await dropped(store);
  await cleanUp({...tools, vault}, 'cleanup/1');
  expect(keys()).toEqual([definition(1), definition(2)]);
  state.isOver = true;
  await cleanUp({...tools, vault}, 'cleanup/2');
  expect(keys()).toEqual([]);
  vault.close();
});

test('a plan of a cleanup writes nothing, and the cleanup does what it says', async () => {
  const store = openMemoryStore();
  const vault = await dropped(store);
  const report = `${folder}20261121120000Z_full/reports/20261121130000Z_restore_passed_01234567`;
  const writer = await vault.writer({purpose: 'a test'});
  await writer.putDocument(report, {version: 1});
  // Of a database backup that is gone.
  const orphan = 'backup/gentle-forest-orchid/20261121T120000.000000Z/reports/20261121130000Z_restore_passed_01234567';
  await writer.putDocument(orphan, {version: 1});
  await writer.write([{bytes: Buffer.alloc(50_000, 'what no manifest needs')}]);
  await writer.close();
  const before = [...store.objects.keys()].sort();
  const plan = await planCleanup(vault);
  expect([...store.objects.keys()].sort()).toEqual(before);
  expect(plan).toMatchObject({manifests: [manifest], reports: [report, orphan]});
  expect(plan.packs.deadPacks.length).toBeGreaterThan(0);
  expect(plan.packs.freedBytes).toBeGreaterThan(0);
  const done = await cleanUp({...tools, vault}, 'cleanup/1');
  expect(done).toEqual({freedBytes: plan.packs.freedBytes, backups: 1});
  const after = [...store.objects.keys()];
  expect(before.filter((key) => !after.includes(key))).toEqual(
    expect.arrayContaining([
      manifest,
      report,
      orphan,
      ...plan.packs.deadPacks.map((id) => `packs/${id.slice(0, 2)}/${id}`),
    ]),
  );
  const nothing = await planCleanup(vault);
  expect(nothing).toMatchObject({manifests: [], reports: [], packs: {deadPacks: [], sparsePacks: [], freedBytes: 0}});
  vault.close();
});

test('a cleanup removes what killed processes left where nothing is written again', async () => {
  const root = mkdtempSync(join(tmpdir(), 'bkp-cleanup-'));
  onTestFinished(() => rmSync(root, {recursive: true, force: true}));
  const store = await openDirectoryStore({root, create: true, layout: vaultLayout});
  const vault = await openVault({store, create: true, graceMs: 0});
  const lease = join(root, 'locks', 'a'.repeat(32));
  const backup = join(root, '.backups/collections/shop/20261121120000Z_full');
  for (const path of [lease, backup]) {
    mkdirSync(path, {recursive: true});
    writeFileSync(join(path, '.bkp#1.00'), 'half');
    utimesSync(join(path, '.bkp#1.00'), new Date(0), new Date(0));
  }
  await cleanUp({...tools, vault}, 'cleanup/1');
  expect([lease, backup].filter((path) => existsSync(path))).toEqual([]);
  vault.close();
});
