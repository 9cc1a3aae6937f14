import {appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {
  createScratch,
  diffTables,
  liveAfter,
  loadTables,
  openBackup,
  requireTable,
  segmentsFor,
  storedAfter,
  type TableDifference,
} from '../../src/collections/index.ts';
import {exactJsonObject} from '../../src/lib/exact-json.ts';
import {type KeyCondition, openSource, type RowChange, type StoredRow} from '../../src/sources/index.ts';
import type {Store} from '../../src/stores/index.ts';
import {wrapStore} from '../../src/stores/wrap-store.ts';
import type {Vault} from '../../src/vault/index.ts';
import {collectDatabase, inProcess} from '../helpers/in-process.ts';

const never = new AbortController().signal;
const meter = {bytes: () => {}, item: () => {}, state: () => ({phase: '', bytesDone: 0, itemsDone: 0})};

/** Four tables of several segments each, and one without a key. */
const schema = `PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
  CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, twice INT AS (id * 2));
  CREATE TABLE named (name TEXT PRIMARY KEY COLLATE NOCASE, note TEXT) WITHOUT ROWID;
  CREATE TABLE items (a INT, b INT, note TEXT, PRIMARY KEY (a, b));
  CREATE TABLE loose (x);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
  INSERT INTO orders (id, note) SELECT i * 10, hex(randomblob(4000)) FROM n;
  INSERT INTO named SELECT 'k' || id, note FROM orders; INSERT INTO items SELECT id / 20, id % 20, note FROM orders;
  INSERT INTO loose SELECT id FROM orders LIMIT 5`;

async function begin({form}: {form?: 'rows' | undefined} = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-read-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const cluster = join(folder, 'cluster');
  let fetched = 0;
  const counting = (store: Store): Store =>
    wrapStore(store, {
      get: async (key, range) => {
        const bytes = await store.get(key, range);
        if (key.startsWith('packs/')) fetched += bytes.byteLength;
        return bytes;
      },
    });
  const bench = inProcess({cluster, database, store: counting});
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    db.exec(sql);
    db.close();
  };
  exec(schema);
  await collectDatabase(bench);
  let files = 0;
  const file = () => join(folder, `scratch-${files++}.db`);
  return {
    ...{folder, database, cluster, exec, bench, file},
    backup: (type: 'full' | 'incremental') => bench.backup('c', type, {form}),
    fetchedBy: async (work: () => Promise<unknown>) => {
      fetched = 0;
      await work();
      return fetched;
    },
    /** The rows of a table for which conditions hold, as a statement's WHERE would find them in what was loaded. */
    read: (point: string | undefined, table: string, conditions: readonly KeyCondition[], where: string) =>
      bench.vault((vault) => readTable(vault, {point, table, conditions, where, path: file()})),
    diff: (from: string, to: string | undefined, only?: ReadonlySet<string>) =>
      bench.vault((vault) => diffOf(vault, {from, to, database, file, only})),
  };
}

type Reading = {
  point: string | undefined;
  table: string;
  conditions: readonly KeyCondition[];
  where: string;
  path: string;
};

async function readTable(vault: Vault, {point, table: name, conditions, where, path}: Reading): Promise<unknown[]> {
  const opened = await openBackup(vault, {collection: 'c', point});
  const table = requireTable(opened, name);
  const scratch = await createScratch(opened, [table], {path});
  try {
    const segments = await segmentsFor(opened, {scratch, table, signal: never}, [conditions]);
    await loadTables(opened, {scratch, meter, signal: never}, [{table, segments}]);
    const db = new DatabaseSync(path, {readOnly: true});
    const rows = db.prepare(`SELECT * FROM ${name} WHERE ${where}`).all();
    expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{integrity_check: 'ok'}]);
    db.close();
    return rows;
  } finally {
    await scratch.discard();
  }
}

async function diffOf(
  vault: Vault,
  {
    from,
    to,
    database,
    file,
    only,
  }: {
    from: string;
    to: string | undefined;
    database: string;
    file: () => string;
    only?: ReadonlySet<string> | undefined;
  },
): Promise<{tables: Record<string, string>; rows: RowChange[]}> {
  const before = await openBackup(vault, {collection: 'c', point: from});
  const source = await openSource({scheme: 'sqlite', path: database});
  const after =
    to === undefined
      ? await liveAfter(before, {source, signal: never})
      : storedAfter(await openBackup(vault, {collection: 'c', point: to}), before, never);
  const tables: Record<string, string> = {};
  const rows: RowChange[] = [];
  try {
    const tools = {file, requireRoom: () => {}, signal: never, progress: () => {}};
    for await (const found of diffTables(
      tools,
      {before, after, tables: only},
      (_, changes) => void rows.push(...changes),
    ))
      if (text(found) !== '') tables[found.table] = text(found);
    return {tables, rows};
  } finally {
    await after.close();
  }
}

const text = ({state, added, changed, deleted, schema: phrases}: TableDifference) =>
  [
    ...(state === 'kept' ? [] : [state]),
    ...(added + changed + deleted === 0 ? [] : [`+${added} ~${changed} -${deleted}`]),
    ...phrases,
  ].join('; ');

const equal = (column: string, value: bigint): KeyCondition => ({
  column,
  operator: '=',
  values: [{kind: 'integer', value}],
});

test.each([{form: undefined}, {form: 'rows' as const}])(
  'a row by its key is read from one segment, with the changes of the increments ($form)',
  async ({form}) => {
    const {exec, backup, read, fetchedBy, database} = await begin({form});
    const full = await backup('full');
    exec(`UPDATE orders SET note = 'changed' WHERE id = 5990; DELETE FROM orders WHERE id = 5980`);
    await backup('incremental');
    const all = await fetchedBy(() => read(undefined, 'orders', [], 'id = 5990'));
    const one = await fetchedBy(async () => {
      expect(await read(undefined, 'orders', [equal('ID', 5990n)], 'id = 5990')).toMatchObject([{note: 'changed'}]);
    });
    expect(one).toBeLessThan(all / 2);
    expect(await read(undefined, 'orders', [equal('id', 5980n)], 'id = 5980')).toEqual([]);
    expect(await read(full, 'orders', [equal('rowid', 5980n)], 'id = 5980')).toMatchObject([{id: 5980, twice: 11960}]);
    const db = new DatabaseSync(database, {readOnly: true});
    expect(await read(undefined, 'items', [], '1')).toEqual(db.prepare('SELECT * FROM items').all());
    db.close();
  },
);

const among = (column: string, value: string): KeyCondition => ({
  ...{column, operator: '='},
  values: [{kind: 'text', value}],
});

test('a row by a key of text or of several columns is read from the segments that can hold it', async () => {
  const {exec, backup, read, fetchedBy} = await begin();
  exec(`CREATE TABLE coded (code TEXT PRIMARY KEY, other TEXT COLLATE NOCASE UNIQUE, note TEXT);
    INSERT INTO coded SELECT printf('%x', id * 7919 % 65536), 'O' || id, note FROM orders;
    -- The first bytes of its rows decide where the table is cut.
    UPDATE named SET note = printf('%064d', 0) || note`);
  await backup('full');
  exec(`UPDATE coded SET note = 'changed' WHERE other = 'o5990'; UPDATE coded SET code = 'moved' WHERE other = 'o10';
    UPDATE named SET note = 'changed' WHERE name = 'K5000'; DELETE FROM items WHERE a = 7 AND b = 0`);
  await backup('incremental');
  const code = ((5990 * 7919) % 65536).toString(16);
  for (const [table, conditions, where, rows] of [
    ['named', [among('name', 'K30')], "name = 'K30'", [{name: 'k30'}]],
    ['named', [among('name', 'k5000')], "name = 'k5000'", [{name: 'k5000', note: 'changed'}]],
    ['named', [among('name', 'none')], "name = 'none'", []],
    ['items', [equal('a', 100n), equal('b', 10n)], 'a = 100 AND b = 10', [{a: 100, b: 10}]],
    ['items', [equal('b', 0n), equal('a', 7n)], 'a = 7 AND b = 0', []],
    ['coded', [among('code', code)], `code = '${code}'`, [{other: 'O5990', note: 'changed'}]],
    ['coded', [among('other', 'o3000')], "other = 'o3000'", [{other: 'O3000'}]],
    ['coded', [among('code', 'moved')], "code = 'moved'", [{other: 'O10'}]],
  ] as const) {
    const all = await fetchedBy(() => read(undefined, table, [], '1'));
    const one = await fetchedBy(async () => {
      expect(await read(undefined, table, conditions, where)).toMatchObject(rows);
    });
    expect(one, where).toBeLessThan(all * 0.8);
  }
});

test('rows are found through the indexes of CREATE INDEX, if each of their rows has a plain entry', async () => {
  const {exec, backup, read, fetchedBy, database} = await begin();
  exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT, n INT, low TEXT COLLATE NOCASE, odd TEXT, any, other INT,
      note TEXT);
    INSERT INTO t SELECT id, printf('%04x', id * 7919 % 65536), id, 'L' || id, 'o' || id, id / 2.0, id + 1, note || note
      FROM orders;
    UPDATE t SET any = 'text' WHERE id = 70; UPDATE t SET n = 'word' WHERE id = 80;
    CREATE INDEX by_code ON t (code, n); CREATE INDEX by_n ON t (n); CREATE INDEX by_low ON t (low);
    CREATE INDEX by_odd ON t (odd COLLATE NOCASE); CREATE INDEX by_any ON t (any);
    CREATE INDEX partly ON t (odd) WHERE n > 100; CREATE INDEX computed ON t (lower(odd))`);
  await backup('full');
  exec(`UPDATE t SET code = 'moved', n = 1 WHERE id = 5990; DELETE FROM t WHERE id = 100;
    DROP INDEX by_any; CREATE INDEX by_any ON t (other)`);
  await backup('incremental');
  const code = ((5980 * 7919) % 65536).toString(16).padStart(4, '0');
  const db = new DatabaseSync(database, {readOnly: true});
  onTestFinished(() => db.close());
  const all = await fetchedBy(() => read(undefined, 't', [], '1'));
  for (const [condition, where, isFew] of [
    [among('code', code), `code = '${code}'`, true],
    [among('code', 'moved'), "code = 'moved'", true],
    [equal('n', 5990n), 'n = 5990', true],
    [equal('n', 3000n), 'n = 3000', true],
    [equal('n', 100n), 'n = 100', true],
    [among('n', '3000'), "n = '3000'", true],
    [among('n', 'word'), "n = 'word'", true],
    [among('low', 'l3000'), "low = 'l3000'", true],
    [among('odd', 'o3000'), "odd = 'o3000'", false],
    [equal('any', 1500n), 'any = 1500', false],
    // Its entries are those of the index that had the name before.
    [equal('other', 3001n), 'other = 3001', false],
  ] as const) {
    let found: unknown[] = [];
    const some = await fetchedBy(async () => {
      found = await read(undefined, 't', [condition], where);
    });
    expect(found, where).toEqual(db.prepare(`SELECT * FROM t WHERE ${where}`).all());
    expect(some < all * 0.8, `${where}: ${some} of ${all}`).toBe(isFew);
  }
});

test('a difference of tables with keys of text or of several columns reads what changed', async () => {
  const {exec, backup, read, diff, fetchedBy} = await begin();
  exec(`CREATE TABLE coded (code TEXT PRIMARY KEY, other TEXT COLLATE NOCASE UNIQUE, note TEXT);
    INSERT INTO coded SELECT printf('%x', id * 7919 % 65536), 'O' || id, note FROM orders;
    -- The first bytes of its rows decide where the table is cut.
    UPDATE named SET note = printf('%064d', 0) || note`);
  const from = await backup('full');
  const all = await fetchedBy(() => diff(from, from));
  expect(all).toBe(0);
  exec(`UPDATE named SET note = 'changed' WHERE name = 'K5000'; DELETE FROM named WHERE name = 'k5010';
    DELETE FROM items WHERE a = 7 AND b = 0; INSERT INTO items VALUES (7, 77, 'new');
    UPDATE items SET b = 99 WHERE a = 8 AND b = 0;
    UPDATE coded SET note = 'changed' WHERE other = 'o5990'; INSERT INTO coded VALUES ('x', 'y', 'new')`);
  const to = await backup('incremental');
  const expected: Record<string, string> = {named: '+0 ~1 -1', items: '+2 ~0 -2', coded: '+1 ~1 -0'};
  for (const [table, found] of Object.entries(expected)) {
    const only = new Set([table]);
    const whole = await fetchedBy(() => read(from, table, [], '1'));
    const part = await fetchedBy(async () => expect((await diff(from, to, only)).tables).toEqual({[table]: found}));
    // Both sides read the segments that differ.
    expect(part, table).toBeLessThan(whole);
    expect((await diff(from, undefined, only)).tables).toEqual({[table]: found});
  }
  const third = await backup('incremental');
  expect((await diff(to, third)).tables).toEqual({});
  exec(`UPDATE items SET a = NULL WHERE a = 9 AND b = 0; UPDATE named SET note = 'again' WHERE name = 'K5000'`);
  const fourth = await backup('incremental');
  expect((await diff(third, fourth)).tables).toEqual({named: '+0 ~1 -0', items: '+1 ~0 -1'});
  expect((await diff(from, fourth)).tables).toEqual({...expected, items: '+3 ~0 -3'});
});

test('a difference reads what changed, and names rows, tables and schemas', async () => {
  const {exec, backup, diff, read, fetchedBy} = await begin();
  const full = await backup('full');
  exec(`UPDATE orders SET note = 'changed' WHERE id = 3000; DELETE FROM orders WHERE id = 3010;
    INSERT INTO orders (id, note) VALUES (15, 'new'); UPDATE named SET name = 'K20' WHERE name = 'k20';
    INSERT INTO loose VALUES ('6')`);
  const expected = {orders: '+1 ~1 -1', named: '+0 ~1 -0', loose: '+1 ~0 -0'};
  const live = await diff(full, undefined);
  expect(live.tables).toEqual(expected);
  const increment = await backup('incremental');
  const stored = await diff(full, increment);
  expect(stored.tables).toEqual(expected);
  const plain = (row: StoredRow) => Object.fromEntries(row);
  const ofOrders = stored.rows.flatMap((change) =>
    !change.row.has('id')
      ? []
      : [{...change, row: plain(change.row), before: change.kind === 'changed' ? plain(change.before) : undefined}],
  );
  expect(ofOrders).toMatchObject([
    {kind: 'deleted', row: {id: 3010n}},
    {kind: 'changed', row: {id: 3000n, note: 'changed'}, before: {id: 3000n}},
    {kind: 'added', row: {id: 15n, note: 'new', twice: 30n}},
  ]);
  expect((await diff(increment, full)).tables).toEqual({orders: '+1 ~1 -1', named: '+0 ~1 -0', loose: '+0 ~0 -1'});
  exec(`UPDATE orders SET note = 'again' WHERE id = 3000`);
  const next = await backup('incremental');
  const whole = await fetchedBy(() => read(full, 'orders', [], '1'));
  const orders = new Set(['orders']);
  expect(await fetchedBy(() => diff(increment, next, orders))).toBeLessThan(whole);
  expect(await fetchedBy(() => diff(full, full, orders))).toBe(0);
  const again = await backup('full');
  expect((await diff(full, again)).tables).toEqual(expected);
  expect((await diff(again, undefined)).tables).toEqual({});
  exec(`ALTER TABLE orders ADD COLUMN paid INT; CREATE INDEX by_note ON items (note); DROP TABLE loose;
    CREATE TABLE fresh (x); INSERT INTO fresh VALUES (1), (2)`);
  expect((await diff(again, undefined)).tables).toEqual({
    orders: 'column paid added',
    items: 'index by_note added',
    loose: 'dropped; +0 ~0 -6',
    fresh: 'created; +2 ~0 -0',
  });
});

test('a row of a difference has its columns in their order, whatever their names', async () => {
  const {exec, backup, diff} = await begin();
  exec(`CREATE TABLE numbered (id INTEGER PRIMARY KEY, "10", "2"); INSERT INTO numbered VALUES (1, 2, 3)`);
  const full = await backup('full');
  exec('UPDATE numbered SET "2" = 4; INSERT INTO numbered VALUES (2, 3, 4)');
  const {rows} = await diff(full, undefined);
  expect(rows.map(({row}) => exactJsonObject(row))).toEqual(['{"id":1,"10":2,"2":4}', '{"id":2,"10":3,"2":4}']);
});

test('a difference of increments of two chains compares what they have', async () => {
  const {exec, backup, diff} = await begin();
  await backup('full');
  exec("INSERT INTO orders (id, note) VALUES (11, 'first'), (12, 'first')");
  const first = await backup('incremental');
  exec('DELETE FROM orders WHERE id IN (11, 12)');
  // Its base has the bytes of the one before.
  await backup('full');
  exec("INSERT INTO orders (id, note) VALUES (12, 'second'), (13, 'second')");
  const second = await backup('incremental');
  const found = await diff(first, second);
  expect(found.tables).toEqual({orders: '+1 ~1 -1'});
  expect(found.rows.map(({kind, row}) => [kind, row.get('id')])).toEqual([
    ['deleted', 11n],
    ['changed', 12n],
    ['added', 13n],
  ]);
});

test('a difference names what changed in a schema although no row did', async () => {
  const {exec, backup, diff} = await begin();
  const full = await backup('full');
  exec('CREATE INDEX by_note ON items (note)');
  expect((await diff(full, undefined)).tables).toEqual({items: 'index by_note added'});
  const next = await backup('incremental');
  expect((await diff(full, next)).tables).toEqual({items: 'index by_note added'});
});

test('damage is an error that names backup and table, never fewer rows', async () => {
  const {backup, read, diff, cluster, exec} = await begin();
  const full = await backup('full');
  exec('DELETE FROM orders WHERE id = 20');
  const increment = await backup('incremental');
  for (const entry of readdirSync(join(cluster, 'packs'), {recursive: true, withFileTypes: true})) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    for (let at = 1000; at < bytes.length - 5000; at += 5000) bytes[at]! ^= 0xff;
    rmSync(path);
    writeFileSync(path, bytes);
    appendFileSync(path, '');
  }
  const names = new RegExp(`table orders of c/${full} cannot be read`);
  await expect(read(full, 'orders', [equal('id', 10n)], 'id = 10')).rejects.toThrow(names);
  await expect(read(full, 'orders', [], '1')).rejects.toThrow(names);
  await expect(diff(full, increment)).rejects.toThrow(/table \w+ of c\/\d+Z_\w+ cannot be read/);
});
