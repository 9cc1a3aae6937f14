import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test, vi} from 'vitest';
import {asPlain, renderError} from '../../src/errors/index.ts';
import {type BackupTable, type Catalogue, defineView, runSelect} from '../../src/query/index.ts';

const schema = `CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT CHECK (note <> "none"), raw BLOB);
  CREATE TABLE "odd ""table" ("a b" TEXT PRIMARY KEY, "select" INT AS (1)) WITHOUT ROWID;
  CREATE TABLE named (k TEXT PRIMARY KEY); CREATE TABLE own (k TEXT PRIMARY KEY, rowid);`;
const rows = `INSERT INTO orders VALUES (1, 'one', x'00ff'), (2, NULL, x''), (9223372036854775807, '', NULL);
  INSERT INTO "odd ""table" VALUES ('x'); INSERT INTO named VALUES ('x'); INSERT INTO own VALUES ('x', 'mine')`;

const columns: Readonly<Record<string, string[]>> = {
  orders: ['id', 'note', 'raw'],
  named: ['k'],
  own: ['k', 'rowid'],
};

/** A catalogue whose backups all have the same tables. */
function catalogue({encoding = 'UTF-8'} = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-select-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const close = vi.fn(async () => {});
  const opened = vi.fn();
  const all: Catalogue = {
    views: {taken: defineView({backup: 'VARCHAR'}, () => [{backup: 'A'}, {backup: 'B'}])},
    scalars: {},
    backups: async (tables: readonly BackupTable[]) => {
      opened(tables.map(({collection, point, table}) => [collection, point, table]));
      const points = [...new Set(tables.map(({point}) => point))];
      return {
        close,
        tables: tables.map(({point, table}) => ({
          database: points.indexOf(point),
          name: table.replace('/Root/', '').toLowerCase(),
          columns: columns[table.replace('/Root/', '')] ?? ['a b', 'select'],
          keepsRowids: table === 'orders',
        })),
        databases: points.map((_, n) => ({
          empty: imageOf(`PRAGMA encoding = '${encoding}'; ${schema}`),
          load: async () => {
            const path = join(folder, `${n}.db`);
            const db = new DatabaseSync(path, {enableDoubleQuotedStringLiterals: true});
            db.exec(
              `PRAGMA encoding = '${encoding}'; ${schema} ${rows}; UPDATE orders SET note = 'backup ${n}' WHERE id = 1`,
            );
            db.close();
            return {path, bytes: 1};
          },
        })),
      };
    },
  };
  return {all, close, opened};
}

function imageOf(sql: string): Uint8Array {
  const db = new DatabaseSync(':memory:', {enableDoubleQuotedStringLiterals: true});
  db.exec(sql);
  return db.serialize();
}

async function told(text: string): Promise<string> {
  try {
    await runSelect(text, catalogue().all);
  } catch (error) {
    return renderError(asPlain(error));
  }
  throw new Error(`no error: ${text}`);
}

test.each<[string, readonly string[], readonly unknown[][]]>([
  ["SELECT * FROM backup('shop').orders WHERE id = 2", ['id', 'note', 'raw'], [[2, null, '']]],
  ['SELECT orders.raw FROM BACKUP ( `shop` , "A" ) . orders WHERE orders.id = 1;', ['raw'], [['00ff']]],
  ['SELECT max(id) FROM backup(shop).`/Root/orders` AS o', ['max(id)'], [[2n ** 63n - 1n]]],
  ['SELECT "a b", "select" FROM backup(\'shop\')."odd ""table"', ['a b', 'select'], [['x', 1]]],
  [
    "SELECT a.note, b.note FROM backup('shop', 'A').orders a JOIN backup('shop', 'B').orders b USING (id) WHERE id = 1",
    ['note', 'note1'],
    [['backup 0', 'backup 1']],
  ],
  [
    "SELECT t.backup, count(*) AS n FROM taken() t, backup('shop', 'A').orders WHERE t.backup = 'B' GROUP BY 1",
    ['backup', 'n'],
    [['B', 3]],
  ],
  ["SELECT id FROM backup('shop').orders EXCEPT SELECT id FROM backup('shop').orders WHERE id > 1", ['id'], [[1]]],
  [
    "SELECT 11, 1, (SELECT count(*) FROM backup('shop', 'A').orders), 1 IN (SELECT id FROM/**/backup(a).orders o)",
    ['11', '1', "(SELECT count(*) FROM backup('shop', 'A').orders)", '1 IN (SELECT id FROM/**/backup(a).orders o)'],
    [[11, 1, 3, 1]],
  ],
  [
    "SELECT (SELECT max(t.backup) FROM taken() t) || id, EXISTS(SELECT 1 FROM taken()) FROM backup('a').orders LIMIT 1",
    ['(SELECT max(t.backup) FROM taken() t) || id', 'EXISTS(SELECT 1 FROM taken())'],
    [['B1', 1]],
  ],
  ["SELECT id FROM backup('shop').orders ORDER BY id LIMIT -1", ['id'], [[2n ** 63n - 1n]]],
])('tables of backups are tables of a SELECT: %s', async (text, columns, expected) => {
  const {all, close} = catalogue();
  expect(await runSelect(text, all)).toEqual({columns, rows: expected});
  expect(close).toHaveBeenCalledOnce();
});

test.each([
  "SELECT rowid FROM backup('shop').named",
  "SELECT k FROM backup('shop').named n WHERE n._rowid_ = 1",
  "SELECT id FROM backup('shop').orders WHERE id IN (SELECT oid FROM backup('shop').named)",
])('a rowid that the backup does not have is refused: %s', async (text) => {
  expect(await told(text)).toMatch(/the rowid of named is not part of its backups.*next: .*named has k\b/s);
});

test.each<[string, unknown]>([
  ["SELECT rowid FROM backup('shop').orders WHERE _rowid_ = 2", 2],
  ["SELECT o.rowid FROM backup('shop').own o", 'mine'],
  ["SELECT count(*) FROM backup('shop').named", 1],
])('a rowid that the backup has is read, and so is a column of that name: %s', async (text, value) => {
  expect(await runSelect(text, catalogue().all)).toMatchObject({rows: [[value]]});
});

test('a database that stores text as UTF-16 is read too, here and in another process', async () => {
  const {all} = catalogue({encoding: 'UTF-16le'});
  const one = "SELECT note, backup FROM backup('c').orders, taken() WHERE id = 1 AND backup = 'A'";
  expect((await runSelect(one, all)).rows).toEqual([['backup 0', 'A']]);
});

test('a join of tables of backups runs in a process of its own', async () => {
  const {all} = catalogue();
  const text = "SELECT count(*) FROM backup('c', 'A').orders a, backup('c', 'B').orders b, backup('c', 'A').orders c";
  expect((await runSelect(text, all)).rows).toEqual([[27]]);
});

test('a statement reads no table that it does not name with its backup', async () => {
  const names = ['orders', '"backup 0".orders', 'sqlite_schema', '"backup 0".sqlite_schema'];
  for (const name of names) {
    const text = await told(`SELECT 1 FROM backup('shop').orders AS o, ${name}`);
    expect(text).toMatch(/no such table|is refused/);
  }
});

test.each([
  ["SELECT nte FROM backup('shop').orders", 'no such column: nte', 'did you mean note? orders has id, note, raw'],
  ["SELECT * FROM backup('shop')", 'the table is missing', "write backup('shop').orders"],
  ['SELECT * FROM backup().orders', 'its first argument', "write backup('shop').orders"],
  ["SELECT * FROM backup('shop', 5).orders", 'its second argument', "write backup('shop').orders"],
  ["SELECT * FROM backup('shop', 'A', 'B').orders", 'it takes a collection', "write backup('shop').orders"],
  ['SELECT * FROM orders', 'no such table: orders', "a table of a backup is backup('collection').table"],
])('a wrong statement gets what is wrong and what to write: %s', async (text, what, next) => {
  const shown = await told(text);
  expect(shown).toContain(what);
  expect(shown).toContain(next);
});

test('tables are opened with what the statement says, and not loaded for one that is not valid', async () => {
  const {all, close, opened} = catalogue();
  await expect(runSelect("SELECT x FROM backup('a/b', '-1 day').orders", all)).rejects.toThrow('no such column');
  expect(opened).toHaveBeenCalledWith([['a/b', '-1 day', 'orders']]);
  expect(close).toHaveBeenCalledOnce();
});
