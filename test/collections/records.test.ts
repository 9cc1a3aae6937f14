import {expect, test} from 'vitest';
import type {WorkProgress} from '../../src/backups/index.ts';
import {
  type BackupType,
  createCollection,
  listBackups,
  planBackup,
  restoreBackup,
  takeBackup,
  verifyBackups,
} from '../../src/collections/index.ts';
import type {BackupBody} from '../../src/collections/stored/manifest.ts';
import {BkpError} from '../../src/errors/index.ts';
import {TakeRows} from '../../src/sources/index.ts';
import {openMemoryStore} from '../../src/stores/index.ts';
import {parseManifest, sealManifest} from '../../src/vault/format/manifest.ts';
import {openVault} from '../../src/vault/index.ts';
import {changed, fakeHost, keysOf, noise} from '../vault/helpers.ts';
import {RecordsSource} from './records-source.ts';

/** A collection `c` of a source with table `t`, its index `i`, and table `u`. */
async function openPlace() {
  const source = new RecordsSource();
  source.tables.set('t', [
    {name: 't', kind: 'rowid', chunks: ['t1', 't2']},
    {name: 'i', kind: 'key', fingerprint: 'f', chunks: ['i1', 'i2', 'i3']},
  ]);
  source.tables.set('u', [{name: 'u', kind: 'key', chunks: []}]);
  const store = openMemoryStore();
  const vault = await openVault({store, create: true, host: fakeHost(1)});
  let minutes = 0;
  const notices: string[] = [];
  const seen: WorkProgress[] = [];
  const tools = {
    vault,
    source,
    nowMicros: () => Date.UTC(2026, 10, 26, 12, ++minutes) * 1000,
    signal: new AbortController().signal,
    progress: (progress: WorkProgress) => seen.push(progress),
    notice: (text: string) => notices.push(text),
  };
  const settings = [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}];
  const members = {kind: 'tables', tables: ['t', 'u']} as const;
  const ids = {vault, nowMicros: tools.nowMicros, randomId: () => 'c'.repeat(32)};
  await createCollection(ids, {name: 'c', members, settings, ifNotExists: false});
  const backup = async (type: BackupType = 'full') => {
    const name = await planBackup(vault, source, {collection: 'c', type, nowMicros: tools.nowMicros()});
    return takeBackup(tools, {collection: 'c', type, name, operation: 'test'});
  };
  const keyOf = (name: string) => `.backups/collections/c/${name}/manifest`;
  const bodyOf = async (name: string) => (await vault.manifest(keyOf(name))).body as unknown as BackupBody;
  const restore = async (wants: readonly string[]) => {
    const target = new RecordsSource();
    target.wants = wants;
    const backup = (await listBackups(vault, 'c')).at(-1)!.name;
    const request = {collection: 'c', backup, stagingId: 'x', check: 'quick'} as const;
    const report = await restoreBackup({...tools, source: target}, request);
    return {target, report};
  };
  return {source, store, vault, tools, notices, seen, backup, keyOf, bodyOf, restore};
}

test('a backup has every record of every tree, with its cuts, and a version that older readers refuse', async () => {
  const {source, backup, bodyOf, restore} = await openPlace();
  const {backup: name, rows, logicalBytes} = await backup();
  const body = await bodyOf(name);
  expect(body.version).toBe(3);
  expect(body.tables.map(({layers}) => layers)).toMatchObject([
    [
      {
        form: 'records',
        rows: 2,
        trees: [
          {name: 't', kind: 'rowid', records: 2},
          {name: 'i', records: 3},
        ],
      },
    ],
    [{form: 'records', rows: 0, trees: [{name: 'u', kind: 'key', records: 0}]}],
  ]);
  expect(rows).toBe(2);
  expect(logicalBytes).toBe('t1t2i1i2i3'.length + 3 * 'cuts of t'.length);
  expect(source.bases).toEqual({lent: 5, released: 5});
  const {target, report} = await restore(['t', 'i', 'u']);
  expect(target.restored).toEqual(['rowid t: t1', 'rowid t: t2', 'key i: i1', 'key i: i2', 'key i: i3']);
  expect(report).toMatchObject({rows: 2, tables: 2, logicalBytes: 10});
});

test('the next base gets the cuts of each tree, and resembles its chunks', async () => {
  const {source, backup} = await openPlace();
  const tree = {name: 't', kind: 'rowid'} as const;
  source.tables.set('t', [{...tree, chunks: [noise(100_000, 1)]}]);
  await backup();
  source.tables.set('t', [{...tree, chunks: [changed(noise(100_000, 1), 5_000)]}]);
  const {storedBytes} = await backup();
  expect(storedBytes).toBeLessThan(10_000);
  expect(source.asked.map(({previous}) => previous)).toEqual([
    undefined,
    undefined,
    {t: 'cuts of t'},
    {u: 'cuts of u'},
  ]);
});

test('if the records of a table turn out not to serve, its rows are taken, and the log says why', async () => {
  const {source, notices, backup, bodyOf, restore} = await openPlace();
  const failsAfter = {chunks: 2, error: new TakeRows('one record is longer than 8 MiB')};
  source.tables.set('t', [
    {name: 't', kind: 'rowid', chunks: ['t1']},
    {name: 'i', kind: 'key', chunks: ['i1', 'i2', 'i3'], failsAfter},
  ]);
  source.tables.set('u', {reason: 'one record is longer than 8 MiB'});
  const {backup: name, logicalBytes} = await backup();
  expect((await bodyOf(name)).version).toBe(1);
  expect(source.asked.map(({table, form}) => [table, form])).toEqual([
    ['t', undefined],
    ['t', 'rows'],
    ['u', undefined],
  ]);
  expect(notices).toEqual(['t, u: backed up row by row, which is slower: one record is longer than 8 MiB']);
  expect(logicalBytes).toBe(2 * ('r1r2'.length + 'cuts of rows'.length));
  // The memory of records is used again, so nothing may be kept.
  expect(source.bases).toEqual({lent: 7, released: 7});
  expect((await restore([])).target.restored).toEqual(['rows t: r1', 'rows t: r2', 'rows u: r1', 'rows u: r2']);
});

test('rows that no user could avoid are not mentioned', async () => {
  const {source, notices, backup} = await openPlace();
  source.tables.set('t', {reason: undefined});
  await backup();
  expect(notices).toEqual([]);
});

test('a table may be taken as rows after it was taken as records', async () => {
  const {source, backup, restore} = await openPlace();
  await backup();
  source.tables.set('t', {reason: undefined});
  await backup();
  expect((await restore(['u'])).target.restored).toEqual(['rows t: r1', 'rows t: r2']);
});

test.each(['full', 'incremental'] as const)('a backup (%s) whose view did not hold is not committed', async (type) => {
  const {source, vault, backup} = await openPlace();
  if (type === 'incremental') await backup();
  source.voided = new BkpError('SOURCE_UNAVAILABLE', 'the log began again');
  await expect(backup(type)).rejects.toBe(source.voided);
  expect(await listBackups(vault, 'c')).toHaveLength(type === 'full' ? 0 : 1);
});

test('damage of the source that shows in its records is no reason to take the rows', async () => {
  const {source, vault, backup} = await openPlace();
  const error = new BkpError('SOURCE_DAMAGED', 'table t: page 7 is damaged');
  source.tables.set('t', [{name: 't', kind: 'rowid', chunks: ['t1', 't2'], failsAfter: {chunks: 1, error}}]);
  await expect(backup()).rejects.toBe(error);
  expect(await listBackups(vault, 'c')).toEqual([]);
});

test('a restore reads the trees of all tables that its staging wants, then the changes, and nothing else', async () => {
  const {source, store, vault, seen, backup, restore, bodyOf} = await openPlace();
  source.tables.set('t', [
    {name: 't', kind: 'rowid', chunks: ['t1']},
    {name: 'i', kind: 'key', fingerprint: 'f', chunks: [noise(100_000, 1)]},
  ]);
  await backup();
  source.changed = ['key 1', 'key 2'];
  const {backup: name} = await backup('incremental');
  expect((await bodyOf(name)).version).toBe(3);
  seen.length = 0;
  const {target, report} = await restore(['t', 'u']);
  expect(target.staged?.get('t')).toMatchObject({
    changedKeys: 2,
    trees: [{name: 't'}, {name: 'i', fingerprint: 'f', records: 1}],
  });
  expect(target.restored).toEqual(['rowid t: t1', 'keys t: key 1', 'keys t: key 2', 'keys u: key 1', 'keys u: key 2']);
  expect(report.logicalBytes).toBe('t1'.length + 4 * 'key 1'.length);
  expect(seen[0]).toMatchObject({bytesDone: 0, bytesTotal: report.logicalBytes, itemsDone: 0, itemsTotal: 2});
  expect(seen.at(-1)).toMatchObject({bytesDone: report.logicalBytes, itemsDone: 2});
  for (const key of await keysOf(store, 'packs/')) {
    const bytes = Buffer.from(await store.get(key));
    if (bytes.length < 100_000) continue;
    // In the chunk of the index, which most of the pack consists of.
    bytes[50_000]! ^= 1;
    await store.delete([key]);
    await store.put(key, bytes);
  }
  await restore(['t', 'u']);
  await expect(restore(['t', 'i', 'u'])).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  const verified = verifyBackups({...openTools(), vault}, {collection: 'c', level: 'data'});
  await expect(verified).rejects.toMatchObject({code: 'DAMAGE_FOUND', details: [expect.stringMatching(/^t of c\//)]});
});

test('a tree with more or fewer chunks than its manifest says is damaged', async () => {
  for (const more of [1, -1]) {
    const {store, backup, keyOf, restore} = await openPlace();
    const {backup: name} = await backup();
    const manifest = structuredClone(await parseManifest(await store.get(keyOf(name)), keyOf(name)));
    const {layers} = (manifest.body as unknown as BackupBody).tables[0]!;
    const [base] = layers as unknown as [{trees: {data: {segments: number}}[]}];
    base.trees[1]!.data.segments += more;
    await store.delete([keyOf(name)]);
    await store.put(keyOf(name), await sealManifest(manifest));
    await expect(restore(['t', 'i', 'u'])).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  }
});

const openTools = () => ({
  nowMicros: () => 1,
  signal: new AbortController().signal,
  progress: () => {},
  notice: () => {},
});
