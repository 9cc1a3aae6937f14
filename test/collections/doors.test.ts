import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {
  type BackupName,
  collectionStandings,
  createCollection,
  dropCollection,
  listBackups,
  listCollections,
  listScheduled,
  planRetention,
} from '../../src/collections/index.ts';
import {openMemoryStore} from '../../src/stores/index.ts';
import {parseManifest, readDocument, sealDocument, sealManifest} from '../../src/vault/format/manifest.ts';
import type {JsonValue, Manifest, Vault} from '../../src/vault/index.ts';
import {inProcess} from '../helpers/in-process.ts';

type Changed = {[key: string]: unknown};

/** Collections `a` and `b` of one table each, in a store in memory. */
async function openShop() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-doors-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const exec = (sql: string, path = database) => {
    const db = new DatabaseSync(path);
    try {
      db.exec(sql);
    } finally {
      db.close();
    }
  };
  exec(
    `PRAGMA journal_mode = WAL; CREATE TABLE ta (id INTEGER PRIMARY KEY, at TEXT);
    CREATE TABLE tb (id INTEGER PRIMARY KEY)`,
  );
  const store = openMemoryStore();
  const bench = inProcess({database, openStore: async () => store});
  const create = (name: string) => bench.vault((vault) => createCollection(tools(vault), request(name)));
  await create('a');
  await create('b');
  const keyOf = (collection: string, backup: BackupName) => `.backups/collections/${collection}/${backup}/manifest`;
  /**
   * Replaces a manifest by a well-formed one with another body, as a faulty program or a person might have
   * written it.
   */
  const rewrite = async (backup: BackupName, change: (body: Changed, manifest: Manifest) => unknown) => {
    const key = keyOf('a', backup);
    const manifest = await parseManifest(await store.get(key), key);
    const copy = structuredClone(manifest) as Manifest & {body: Changed};
    const body = (change(copy.body, copy) ?? copy.body) as JsonValue;
    await store.delete([key]);
    await store.put(key, await sealManifest({...copy, body: body === 'null' ? null : body}));
  };
  return {store, bench, folder, exec, create, keyOf, rewrite};
}

const tools = (vault: Vault) => ({vault, nowMicros: () => 1_790_000_000_000_000, randomId: () => 'c'.repeat(32)});
const request = (name: string) => ({
  name,
  members: {kind: 'tables' as const, tables: [`t${name}`]},
  settings: [
    {key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'},
    {key: 'KEEP_LATEST', value: '2'},
  ],
  ifNotExists: false,
});

test('a manifest of another collection or backup is not accepted at a key that is not its own', async () => {
  const {store, bench, folder, keyOf} = await openShop();
  const [a, b] = [await bench.backup('a', 'full'), await bench.backup('b', 'full')];
  await store.delete([keyOf('b', b)]);
  await store.put(keyOf('b', b), await store.get(keyOf('a', a)));
  const wrong = {code: 'OBJECT_DAMAGED', message: expect.stringContaining('it is of collection a')};
  await expect(bench.restore('b', join(folder, 'new.db'))).rejects.toMatchObject(wrong);
  await expect(bench.verify('b')).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
  const later = '29991231235959Z_full' as BackupName;
  await store.put(keyOf('a', later), await store.get(keyOf('a', a)));
  await expect(bench.restore('a', join(folder, 'new.db'))).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  await bench.restore('a', join(folder, 'new.db'), a);
});

/** Changes a part of a document, which is then written completely. */
const set = (object: object, members: Changed) => void Object.assign(object, members);
const base = (body: Changed) => (body.tables as {layers: Changed[]}[])[0]!.layers[0]!;
const tree = (body: Changed) => (base(body).trees as Changed[])[0]!;
/** The rows as if they had been taken one by one. */
const asRows = (body: Changed) => {
  const {data, cuts} = tree(body);
  const {kind, backup, rows} = base(body);
  const layers = (body.tables as {layers: Changed[]}[])[0]!.layers;
  layers[0] = {kind, backup, rows, data: {...(data as Changed)}, cuts};
  return layers[0];
};
test.each<[string, (body: Changed, manifest: Manifest) => unknown]>([
  ['is nothing', () => 'null'],
  ['is a text', () => 'x'],
  ['has no version', (body) => ({...body, version: undefined})],
  ['has no tables', (body) => ({...body, tables: null})],
  ['has no table', (body) => ({...body, tables: []})],
  ['has a table twice', (body) => ({...body, tables: [...(body.tables as []), ...(body.tables as [])]})],
  ['has a table without a name', (body) => set((body.tables as {schema: Changed}[])[0]!.schema, {name: 7})],
  ['has a table without layers', (body) => set((body.tables as Changed[])[0]!, {layers: []})],
  ['has a delta without a base', (body) => set(base(body), {kind: 'delta'})],
  ['has two bases', (body) => void (body.tables as {layers: Changed[]}[])[0]!.layers.push(base(body))],
  ['names a stream that is not there', (body) => set(tree(body), {cuts: 99})],
  ['names a stream before the first', (body) => set(tree(body), {cuts: -1})],
  ['names a stream of rows that is not there', (body) => set(asRows(body), {cuts: 99})],
  ['counts less than no rows', (body) => set(base(body), {rows: -1})],
  ['counts half a row', (body) => set(base(body), {rows: 0.5})],
  ['has wide segments of one chunk', (body) => set(asRows(body).data as Changed, {wide: {'0': 1}})],
  ['has records in an old version', (body) => ({...body, version: 2})],
  ['was taken at no time', (body) => ({...body, takenAt: 'yesterday'})],
  ['costs nothing that can be counted', (body) => ({...body, cost: null})],
  ['is of another kind', (_, manifest) => set(manifest, {kind: 'database-backup'})],
  ['is of a newer bkp', (body) => ({...body, version: 4})],
])('a backup whose manifest %s affects no other backup', async (_, change) => {
  const {bench, folder, exec, rewrite} = await openShop();
  exec("INSERT INTO ta (at) VALUES ('x')");
  const good = await bench.backup('a', 'full');
  const odd = await bench.backup('a', 'incremental');
  await rewrite(odd, change);
  const listed = await bench.vault((vault) => listBackups(vault, 'a'));
  expect(listed.map(({name, error}) => [name, error === undefined])).toEqual([
    [good, true],
    [odd, false],
  ]);
  expect(listed[1]?.error).toContain(`a/${odd}/manifest`);
  expect(await bench.vault((vault) => listCollections(vault))).toHaveLength(2);
  const next = expect.stringMatching(/BACKUP a takes a full backup|newer bkp/);
  await expect(bench.backup('a', 'incremental')).rejects.toMatchObject({next});
  await expect(bench.restore('a', join(folder, 'odd.db'))).rejects.toMatchObject({
    next: expect.stringMatching(`RESTORE a AT '${good}'|newer bkp`),
  });
  await bench.restore('a', join(folder, 'good.db'), good);
  const after = await bench.backup('a', 'full');
  await bench.backup('a', 'incremental');
  await bench.restore('a', join(folder, 'after.db'), after);
  expect((await bench.vault((vault) => planRetention(vault, 'a', {nowMs: Date.now()}))).damage).toBeUndefined();
  await bench.cleanUp('a');
  expect(await bench.backups('a')).toHaveLength(2);
});

test('while one of the newest backups is damaged, all older ones stay', async () => {
  const {bench, rewrite} = await openShop();
  for (let n = 0; n < 3; n++) await bench.backup('a', 'full');
  const odd = await bench.backup('a', 'full');
  await rewrite(odd, (body) => ({...body, tables: null}));
  await expect(bench.cleanUp('a')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(await bench.backups('a')).toHaveLength(4);
});

test('invalid cuts cost only a little space', async () => {
  const {bench, folder, exec, rewrite} = await openShop();
  exec("INSERT INTO ta (at) VALUES ('x')");
  const odd = await bench.backup('a', 'full');
  await rewrite(odd, (body) => set(tree(body), {cuts: (tree(body).data as {stream: number}).stream}));
  await bench.backup('a', 'full');
  await bench.restore('a', join(folder, 'new.db'));
});

test("a folder whose name is not a backup's is ignored, whatever it contains", async () => {
  const {store, bench, folder, keyOf} = await openShop();
  const a = await bench.backup('a', 'full');
  for (const odd of ['20261399999999Z_full', '20260230000000Z_full', '20260101240000Z_incremental']) {
    await store.put(keyOf('a', odd as BackupName), await store.get(keyOf('a', a)));
  }
  await store.put(`.backups/collections/%ZZ/${a}/manifest`, await store.get(keyOf('a', a)));
  await store.put(`.backups/collections/a/${a}/manifest/more`, Buffer.from('x'));
  expect(await bench.backups('a')).toEqual([a]);
  await bench.backup('a', 'incremental');
  await bench.backup('a', 'full');
  await bench.restore('a', join(folder, 'new.db'));
  expect(await bench.vault((vault) => listCollections(vault))).toHaveLength(2);
  await bench.cleanUp('a');
});

test.each<[string, (definition: Changed) => unknown, boolean]>([
  ['is nothing', () => null, true],
  ['has no members', ({members: _, ...rest}) => rest, true],
  ['has no settings', (definition) => ({...definition, settings: 'x'}), true],
  ['is of another collection', (definition) => ({...definition, name: 'b'}), true],
  ['is of another generation', (definition) => ({...definition, generation: 7}), true],
  ['is of a newer bkp', (definition) => ({...definition, version: 99}), false],
])(
  'a collection whose definition %s affects no other collection, and its backups can be restored',
  async (_, change, mendable) => {
    const {store, bench, folder, create} = await openShop();
    await bench.backup('a', 'full');
    const [key = ''] = [...store.objects.keys()].filter((one) => one.startsWith('.backups/collections/a/definition/'));
    const definition = (await readDocument(store, key)) as Changed;
    await store.delete([key]);
    await store.put(key, await sealDocument(change(definition) as JsonValue));
    const listed = await bench.vault((vault) => listCollections(vault));
    expect(listed.map(({name, error}) => [name, error === undefined])).toEqual([
      ['a', false],
      ['b', true],
    ]);
    expect(await bench.vault((vault) => listScheduled(vault))).toEqual([]);
    await bench.backup('b', 'full');
    await expect(bench.backup('a', 'full')).rejects.toMatchObject({
      code: mendable ? 'OBJECT_DAMAGED' : 'STORE_REFUSED',
    });
    await bench.restore('a', join(folder, 'new.db'));
    await bench.cleanUp('b');
    if (!mendable) {
      await expect(create('a')).rejects.toMatchObject({code: 'STORE_REFUSED'});
      return;
    }
    await create('a');
    await bench.backup('a', 'full');
    await bench.vault((vault) => dropCollection(tools(vault), {name: 'a', ifExists: false}));
    await bench.cleanUp();
  },
);

test('a collection that lost its definition is still listed, and CREATE gets its backups back by name', async () => {
  const {store, bench, folder, create} = await openShop();
  const full = await bench.backup('a', 'full');
  const keys = [...store.objects.keys()].filter((one) => one.startsWith('.backups/collections/a/definition/'));
  await store.delete(keys);
  expect(await bench.vault((vault) => listCollections(vault))).toMatchObject([
    {name: 'a', backups: 1, error: expect.stringContaining('missing')},
    {name: 'b'},
  ]);
  expect(await bench.vault((vault) => collectionStandings(vault))).toMatchObject([
    {name: 'a', backups: 1},
    {name: 'b'},
  ]);
  await bench.restore('a', join(folder, 'new.db'));
  await expect(bench.verify('a')).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
  await expect(bench.backup('a', 'full')).rejects.toMatchObject({
    next: expect.stringContaining('CREATE BACKUP COLLECTION a'),
  });
  await bench.cleanUp('b');
  expect(await bench.backups('a')).toEqual([full]);
  expect(await create('a')).toEqual({made: true, backups: 1});
  await bench.backup('a', 'incremental');
  await bench.verify('a');
});

test('after its cleanup, a dropped collection is not mistaken for one that lost its definition', async () => {
  const {bench, create} = await openShop();
  await bench.backup('a', 'full');
  await bench.vault((vault) => dropCollection(tools(vault), {name: 'a', ifExists: false}));
  await bench.cleanUp();
  expect(await bench.vault((vault) => listCollections(vault))).toMatchObject([{name: 'b'}]);
  expect(await create('a')).toEqual({made: true, backups: 0});
});
