import {chmodSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection, planRestore} from '../../src/collections/index.ts';
import {type Layer, recordsBaseOf} from '../../src/collections/stored/layers.ts';
import {readBackup} from '../../src/collections/stored/manifest.ts';
import {openSource} from '../../src/sources/index.ts';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {readPackTable} from '../../src/vault/format/pack.ts';
import type {PackId} from '../../src/vault/types.ts';
import {inProcess} from '../helpers/in-process.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';
import {seed} from '../seeds/seed.ts';
import {Random} from '../simulator/random.ts';

// A damaged backup: a partial restore brings every table that is whole, and names the others.

const schema = `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, txt TEXT);
  CREATE INDEX by_txt ON orders (txt);
  CREATE TABLE products (id INTEGER PRIMARY KEY, txt TEXT);
  CREATE VIRTUAL TABLE notes USING fts5(body);
  INSERT INTO orders SELECT value, 'order ' || value FROM generate_series(1, 500);
  INSERT INTO products SELECT value, 'product ' || value FROM generate_series(1, 500);
  INSERT INTO notes SELECT 'note ' || value FROM generate_series(1, 50);`.replaceAll(
  /FROM generate_series\(1, (\d+)\)/g,
  'FROM (WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < $1) SELECT * FROM s)',
);

async function shop() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-partial-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const cluster = join(folder, 'cluster');
  const notices: string[] = [];
  const bench = inProcess({database, cluster, notice: (text) => void notices.push(text)});
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    db.exec(sql);
    db.close();
  };
  exec(schema);
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        name: 'shop',
        members: {kind: 'database'},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
        ifNotExists: false,
      },
    ),
  );
  const full = await bench.backup('shop', 'full');
  const restored = join(folder, 'restored.db');
  /** Changes a stored byte of the first chunk of a tree, or of the rows of the table's newest delta. */
  const damage = (table: string, tree: string | 'delta' = table) =>
    bench.vault(async (vault) => {
      const {body, streams} = await readBackup(vault, 'shop', (await bench.backups('shop')).at(-1)!);
      const {layers} = body.tables.find((one) => one.schema.name === table)!;
      const recipe = streams[streamIn(layers, tree)]!;
      const [chunk] = await vault.chunkIds(recipe);
      const store = await openDirectoryStore({root: cluster, create: false});
      for await (const {key, sizeBytes} of store.list('packs/')) {
        const entries = await readPackTable(store, key.split('/').at(-1) as PackId, sizeBytes);
        const entry = entries.find(({id}) => id === chunk);
        if (entry === undefined) continue;
        const file = join(cluster, key);
        const bytes = readFileSync(file);
        bytes[entry.offset + entry.storedBytes - 1]! ^= 1;
        chmodSync(file, 0o600);
        writeFileSync(file, bytes);
      }
    });
  const restore = async () => {
    rmSync(restored, {force: true});
    return bench.restore('shop', restored, undefined, undefined, {partial: true});
  };
  return {bench, exec, folder, database, cluster, full, restored, notices, damage, restore};
}

function streamIn(layers: readonly Layer[], tree: string): number {
  const delta = layers.at(-1)!;
  if (tree === 'delta' && delta.kind === 'delta') return delta.rowData.stream;
  return recordsBaseOf(layers)!.trees.find(({name}) => name === tree)!.data.stream;
}

const tablesIn = (file: string) => {
  const db = new DatabaseSync(file, {readOnly: true});
  try {
    return db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
      .all()
      .map(({name}) => name);
  } finally {
    db.close();
  }
};

test('a partial restore of an intact backup lacks nothing', async () => {
  const {restore, restored, database} = await shop();
  expect(await restore()).not.toHaveProperty('missing');
  expect(imageOf(restored, ['orders', 'products'])).toEqual(imageOf(database, ['orders', 'products']));
});

test('without PARTIAL a damaged table fails the whole restore, and nothing is restored', async () => {
  const {bench, damage, restored} = await shop();
  await damage('orders');
  await expect(bench.restore('shop', restored)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(existsSync(restored)).toBe(false);
});

test('tables with damaged rows are left out and named, all others come whole', async () => {
  const {restore, damage, database, restored} = await shop();
  await damage('orders');
  expect(await restore()).toMatchObject({
    missing: [{name: 'orders', why: expect.stringMatching(/chunk [0-9a-f]+ .*not what was written/)}],
    tables: 1 + 5,
  });
  expect(tablesIn(restored)).not.toContain('orders');
  expect(imageOf(restored, ['products'])).toEqual(imageOf(database, ['products']));
});

test('a table with a damaged delta is left out: it never comes back as it was before the increment', async () => {
  const {restore, bench, exec, damage, database, restored} = await shop();
  exec("UPDATE products SET txt = 'new' WHERE id < 5; UPDATE orders SET txt = 'new' WHERE id = 7");
  await bench.backup('shop', 'incremental');
  await damage('products', 'delta');
  expect(await restore()).toMatchObject({missing: [{name: 'products'}]});
  expect(tablesIn(restored)).not.toContain('products');
  expect(imageOf(restored, ['orders'])).toEqual(imageOf(database, ['orders']));
});

test('an index whose entries are damaged is built from the rows, and nothing is missing', async () => {
  const {restore, damage, database, restored, notices} = await shop();
  await damage('orders', 'by_txt');
  expect(await restore()).not.toHaveProperty('missing');
  expect(notices).toContainEqual(expect.stringMatching(/index by_txt .* built from the rows/));
  expect(imageOf(restored, ['orders', 'products'])).toEqual(imageOf(database, ['orders', 'products']));
});

test('a virtual table that lacks one of its tables is left out with all of them', async () => {
  const {restore, damage, database, restored} = await shop();
  await damage('notes_data');
  const {missing} = await restore();
  expect(missing).toContainEqual({name: 'notes', why: expect.stringContaining('notes_data')});
  expect(tablesIn(restored)).toEqual(['orders', 'products']);
  expect(imageOf(restored, ['orders'])).toEqual(imageOf(database, ['orders']));
});

test('a backup of which no table is left fails like any damaged one', async () => {
  const {restore, damage, restored} = await shop();
  for (const table of ['orders', 'products', 'notes_data', 'notes_content']) await damage(table);
  for (const table of ['notes_idx', 'notes_docsize', 'notes_config']) await damage(table);
  await expect(restore()).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(existsSync(restored)).toBe(false);
});

test('the increment after a partial restore into the database of the chain has what is there', async () => {
  const {bench, exec, damage, database, restored} = await shop();
  await damage('orders');
  exec('DROP TABLE orders; DROP TABLE products; DROP TABLE notes');
  await bench.restore('shop', database, undefined, undefined, {partial: true});
  exec("UPDATE products SET txt = 'new' WHERE id = 3");
  await bench.backup('shop', 'incremental');
  await bench.restore('shop', restored);
  expect(imageOf(restored, ['products'])).toEqual(imageOf(database, ['products']));
  expect(tablesIn(restored)).not.toContain('orders');
});

test('a dry run leaves out what the restore then cannot bring, whichever packs are missing', async () => {
  const rounds = Number(process.env.BKP_TEST_RUNS ?? 5);
  const random = new Random(seed);
  const place = await shop();
  const packs = () => globSync(join(place.cluster, 'packs/**/*'), {withFileTypes: true}).filter((f) => f.isFile());
  const pathsOf = () => packs().map((file) => join(file.parentPath, file.name));
  const first = pathsOf();
  for (let n = 0; n < 4; n++) {
    if (random.chance(0.5)) place.exec(`UPDATE orders SET txt = 'o${n}' WHERE id % 7 = ${n}`);
    if (random.chance(0.5)) place.exec(`INSERT INTO notes VALUES ('n${n}')`);
    place.exec(`CREATE TABLE only${n} AS SELECT ${n} AS a`);
    await place.bench.backup('shop', 'incremental');
  }
  const later = pathsOf().filter((path) => !first.includes(path));
  const source = await openSource({scheme: 'sqlite', path: place.restored});
  let left = 0;
  for (let round = 0; round < rounds; round++) {
    const lost = later.filter((_, at) => (round === 0 && at === 0) || random.chance(0.3));
    const kept = lost.map((path) => [path, readFileSync(path)] as const);
    for (const path of lost) rmSync(path, {force: true});
    rmSync(place.restored, {force: true});
    const plan = await place.bench.vault((vault) =>
      planRestore(vault, source, {collection: 'shop', partial: true}, {details: true}),
    );
    const {missing = [], tables} = await place.restore();
    const message = `BKP_TEST_SEED=${seed}, round ${round}`;
    const names = (parts: readonly {name: string}[]) => parts.map(({name}) => name).sort();
    expect(names(plan.details!.missing), message).toEqual(names(missing));
    expect(plan.tables.length, message).toBe(tables);
    for (const {name} of missing) expect(plan.details!.notices.join('\n'), message).toContain(`${name} cannot come: `);
    left += missing.length;
    for (const [path, bytes] of kept) writeFileSync(path, bytes);
  }
  expect(left, `BKP_TEST_SEED=${seed}`).toBeGreaterThan(0);
});
