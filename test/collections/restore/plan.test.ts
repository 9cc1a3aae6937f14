import {globSync, rmSync} from 'node:fs';
import {expect, test} from 'vitest';
import {planRestore, type RestoreWish} from '../../../src/collections/index.ts';
import {renderRestorePlan} from '../../../src/commands/restore-plans.ts';
import {openSource} from '../../../src/sources/index.ts';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import {inProcess} from '../../helpers/in-process.ts';
import {placeWith} from './place.ts';

// A plan names everything that the restore then does.

const shop = `
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers, total REAL);
  CREATE INDEX orders_by_customer ON orders (customer);
  CREATE TABLE changes (id INTEGER PRIMARY KEY, what TEXT);
  CREATE TRIGGER orders_ai AFTER INSERT ON orders BEGIN INSERT INTO changes (what) VALUES (NEW.id); END;
  CREATE VIEW large AS SELECT * FROM orders JOIN changes ON changes.what = orders.id;
  INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo');
  INSERT INTO orders (customer, total) VALUES (1, 5), (2, 50);`;

async function plannedFor(wish: Omit<RestoreWish, 'collection'>, target = 'app.db') {
  const place = await placeWith(shop, {incremental: true});
  await place.bench.backup('c', 'full');
  place.exec('UPDATE orders SET total = 7 WHERE id = 1');
  await place.bench.backup('c', 'incremental');
  place.notices();
  const source = await openSource({scheme: 'sqlite', path: place.path(target)});
  const plan = await place.bench.vault((vault) =>
    planRestore(vault, source, {collection: 'c', ...wish}, {details: true}),
  );
  return {place, plan};
}

test('the notices of a plan are those of the restore', async () => {
  const tables = [{name: 'orders', as: 'orders_before'}];
  const {place, plan} = await plannedFor({tables});
  expect(plan.obstacle).toBeUndefined();
  await place.restore(['orders AS orders_before']);
  const reported = place.notices();
  for (const notice of plan.details!.notices.filter((text) => !/compared at the end/.test(text))) {
    expect(reported).toContain(notice);
  }
  expect(plan.details!.notices).toHaveLength(3);
});

test('a plan for a new database names the triggers and views that cannot come', async () => {
  const tables = [{name: 'orders'}, {name: 'large'}];
  const {place, plan} = await plannedFor({tables}, 'new.db');
  await place.restore(['orders', 'large'], 'new.db');
  expect(plan.details!.notices.join('\n')).toBe(place.notices());
  expect(plan.details!.notices.join('\n')).toMatch(/trigger orders_ai .*\n.*|view large/);
});

test('a plan tells rows and bytes of each table, and what is in the way', async () => {
  const {plan} = await plannedFor({});
  expect(plan.tables).toMatchObject([
    {name: 'changes', rows: 2, isExact: true},
    {name: 'customers', rows: 2, isExact: true},
    {name: 'orders', rows: 2, isExact: true, brings: '1 index, 1 trigger'},
  ]);
  expect(plan.bytes).toBe(plan.tables.reduce((sum, {bytes}) => sum + bytes, 0));
  expect(plan.details).toMatchObject({fetchBytes: expect.any(Number)});
  expect(plan.space).toMatchObject({neededBytes: expect.any(Number), freeBytes: expect.any(Number)});
  expect(plan.obstacle).toMatchObject({code: 'TABLE_EXISTS', message: expect.stringContaining('/Root/orders')});
});

test('the bytes to fetch are those that the restore reads: not those of indexes that it builds', async () => {
  const {place, plan} = await plannedFor({}, 'new.db');
  let read = 0;
  const store = (opened: Store) =>
    wrapStore(opened, {
      get: async (key, range) => {
        const bytes = await opened.get(key, range);
        if (key.startsWith('packs/')) read += bytes.byteLength;
        return bytes;
      },
    });
  const bench = inProcess({database: place.path('app.db'), cluster: place.path('cluster'), store});
  await bench.restore('c', place.path('new.db'));
  expect(plan.details!.fetchBytes).toBe(read);
});

test('a plan of a backup that lacks a pack proposes one that lacks nothing', async () => {
  const place = await placeWith(shop);
  await place.bench.backup('c', 'full');
  const packs = () => globSync(place.path('cluster/packs/*/*'));
  const first = packs();
  place.exec("UPDATE customers SET name = 'Cy'");
  await place.bench.backup('c', 'full');
  const [backup] = await place.bench.backups('c');
  for (const pack of packs().filter((path) => !first.includes(path))) rmSync(pack);
  const source = await openSource({scheme: 'sqlite', path: place.path('new.db')});
  const planned = place.bench.vault((vault) => planRestore(vault, source, {collection: 'c'}, {details: true}));
  await expect(planned).rejects.toMatchObject({code: 'OBJECT_MISSING', next: expect.stringMatching(`'${backup}'$`)});
});

test('every statement that an obstacle proposes has the target that the user named', async () => {
  const {plan} = await plannedFor({tables: [{name: 'orders'}], into: `'./restored.db'`});
  const {next} = plan.obstacle!;
  const proposed = next!.split('; or ').map((step) => / INTO '.*?'/.exec(step)?.[0]);
  expect(proposed).toEqual([` INTO './restored.db'`, ` INTO './restored.db'`, ` INTO './restored-again.db'`]);
});

test('the name of an index that another table has is in the way too', async () => {
  const place = await placeWith(shop);
  await place.bench.backup('c', 'full');
  place.exec('DROP TABLE orders; CREATE INDEX orders_by_customer ON customers (name)');
  const source = await openSource({scheme: 'sqlite', path: place.path('app.db')});
  const plan = await place.bench.vault((vault) =>
    planRestore(vault, source, {collection: 'c', tables: [{name: 'orders'}]}, {details: true}),
  );
  expect(plan.obstacle?.message).toBe('path exist: index orders_by_customer');
});

test('no line of a plan but those with names is wider than a terminal of 80 columns', async () => {
  const {plan} = await plannedFor({tables: [{name: 'orders', as: 'orders_before'}]});
  const text = renderRestorePlan(
    {plan: {...plan, target: 'sqlite::path=app.db'}, estimate: {seconds: 70, restores: 3}},
    'pretty',
  );
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  expect(text).toMatch(/^time +about 1 min 10 s, judged by the last 3 restores$/m);
  expect(text).toMatch(/^orders +orders_before +2 +64.0 KiB +1 index$/m);
  expect(JSON.parse(renderRestorePlan({plan}, 'json'))).toMatchObject({
    collection: 'c',
    tables: [{table: 'orders', as: 'orders_before', rows: 2, rows_exact: true}],
    possible: true,
    seconds: null,
  });
});

test('a plan refuses to merge into a table that lost a column, and does not refuse to replace it', async () => {
  const place = await placeWith(shop);
  await place.bench.backup('c', 'full');
  place.exec('ALTER TABLE orders DROP COLUMN total; ALTER TABLE customers ADD COLUMN note');
  const source = await openSource({scheme: 'sqlite', path: place.path('app.db')});
  const obstacleOf = (mode: 'merge' | 'replace', name: string) =>
    place.bench.vault(
      async (vault) => (await planRestore(vault, source, {collection: 'c', mode, tables: [{name}]})).obstacle,
    );
  expect(await obstacleOf('merge', 'orders')).toMatchObject({
    code: 'PRECONDITION',
    details: ['column total REAL is in the backup only'],
  });
  expect(await obstacleOf('replace', 'orders')).toBeUndefined();
  expect(await obstacleOf('merge', 'customers')).toBeUndefined();
});
