import {join} from 'node:path';
import {expect, test} from 'vitest';
import {imageOf} from '../../helpers/sqlite-compare.ts';
import {merge, takeFull} from '../layers.ts';
import {Database, filesIn} from './database.ts';

const orders = `CREATE TABLE orders (id INTEGER PRIMARY KEY, email TEXT UNIQUE, total REAL);
  INSERT INTO orders VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);`;
const untracked = (database: Database, ...tables: string[]) => takeFull(database.source, {tables});
const rowsOf = (database: Database, table = 'orders') =>
  database.db
    .prepare(`SELECT * FROM ${table} ORDER BY 1`)
    .all()
    .map((row) => Object.values(row).join(' '));

test('merge brings back deleted and changed rows and keeps new ones, replace removes these', async () => {
  const database = new Database(orders);
  const backup = await untracked(database, 'orders');
  database.exec(`DELETE FROM orders WHERE id = 1; UPDATE orders SET total = 9 WHERE id = 2;
    INSERT INTO orders VALUES (4, 'd', 4)`);
  const counts = {name: 'orders', inserted: 1, updated: 1, deleted: 0, kept: 1};
  expect(await merge(database.source, backup, 'merge', {dryRun: true})).toEqual([counts]);
  expect(rowsOf(database)).toEqual(['2 b 9', '3 c 3', '4 d 4']);
  expect(await merge(database.source, backup, 'merge')).toEqual([counts]);
  expect(rowsOf(database)).toEqual(['1 a 1', '2 b 2', '3 c 3', '4 d 4']);
  expect(await merge(database.source, backup, 'replace')).toEqual([
    {name: 'orders', inserted: 0, updated: 0, deleted: 1, kept: 0},
  ]);
  expect(rowsOf(database)).toEqual(['1 a 1', '2 b 2', '3 c 3']);
  expect(filesIn(join(database.path, '..')).filter((file) => file.includes('stage'))).toEqual([]);
});

test('a row that a CHECK of the living table does not allow comes back, and is reported', async () => {
  const database = new Database('CREATE TABLE k (a INTEGER PRIMARY KEY, v INT); INSERT INTO k VALUES (1, -5), (2, 7)');
  const backup = await untracked(database, 'k');
  database.exec(
    'DROP TABLE k; CREATE TABLE k (a INTEGER PRIMARY KEY, v INT CHECK (v > 0)); INSERT INTO k VALUES (2, 8)',
  );
  const notices: string[] = [];
  await merge(database.source, backup, 'merge', {notice: (text) => notices.push(text)});
  expect(rowsOf(database, 'k')).toEqual(['1 -5', '2 7']);
  expect(notices).toEqual([expect.stringContaining('k has rows that a CHECK of the table does not allow')]);
});

test('the triggers of the application do not fire, are named, and are there afterwards as they were', async () => {
  const database = new Database(`${orders} CREATE TABLE audit (text);
    CREATE TRIGGER b_audit AFTER INSERT ON orders BEGIN INSERT INTO audit VALUES ('insert ' || NEW.id); END;
    CREATE TRIGGER "a, audit" BEFORE DELETE ON orders BEGIN INSERT INTO audit VALUES ('delete'); END;
    CREATE TRIGGER no_update AFTER UPDATE ON orders BEGIN SELECT RAISE(ABORT, 'never'); END;`);
  const backup = await untracked(database, 'orders');
  database.exec(
    'DROP TRIGGER no_update; UPDATE orders SET total = 9; DELETE FROM orders WHERE id = 1; DELETE FROM audit',
  );
  database.exec("CREATE TRIGGER no_update AFTER UPDATE ON orders BEGIN SELECT RAISE(ABORT, 'never'); END");
  const {schema} = imageOf(database.path);
  const notices: string[] = [];
  await merge(database.source, backup, 'replace', {notice: (text) => notices.push(text)});
  expect(rowsOf(database)).toEqual(['1 a 1', '2 b 2', '3 c 3']);
  expect(rowsOf(database, 'audit')).toEqual([]);
  expect(imageOf(database.path).schema).toEqual(schema);
  expect(notices).toEqual([
    expect.stringMatching(/^trigger b_audit of orders did not fire .*audit$/),
    expect.stringMatching(/^trigger a, audit of orders did not fire/),
    expect.stringMatching(/^trigger no_update of orders did not fire/),
  ]);
});

test('rows that exchanged their unique values come back', async () => {
  const database = new Database(orders);
  const backup = await untracked(database, 'orders');
  database.exec(`UPDATE orders SET email = 'x' WHERE id = 1; UPDATE orders SET email = 'a' WHERE id = 2;
    UPDATE orders SET email = 'b' WHERE id = 1`);
  expect(await merge(database.source, backup, 'merge')).toMatchObject([{updated: 2}]);
  expect(rowsOf(database)).toEqual(['1 a 1', '2 b 2', '3 c 3']);
});

for (const clause of ['', 'ON CONFLICT REPLACE', 'ON CONFLICT IGNORE']) {
  test(`a row whose unique value a new row has (UNIQUE ${clause}) is named, and nothing is changed`, async () => {
    const database = new Database(orders.replace('UNIQUE', `UNIQUE ${clause}`));
    const backup = await untracked(database, 'orders');
    database.exec(
      "UPDATE orders SET total = 9; DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (7, 'b', 7)",
    );
    const before = rowsOf(database);
    await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({
      code: 'PRECONDITION',
      details: ['the row with id 2'],
    });
    expect(rowsOf(database)).toEqual(before);
    expect(await merge(database.source, backup, 'replace')).toMatchObject([{inserted: 1, updated: 2, deleted: 1}]);
  });
}

test('a merge into a table that lost a column is refused with each difference, and nothing is changed', async () => {
  const database = new Database(orders);
  const backup = await untracked(database, 'orders');
  database.exec('ALTER TABLE orders DROP COLUMN total; ALTER TABLE orders ADD COLUMN note TEXT COLLATE NOCASE');
  const before = imageOf(database.path);
  await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({
    code: 'PRECONDITION',
    details: ['column total REAL is in the backup only', 'column note TEXT COLLATE NOCASE is in the table only'],
    next: expect.stringContaining("MODE='replace' brings the table with the schema that it had"),
  });
  expect(imageOf(database.path)).toEqual(before);
});

test('a table that does not exist is not merged into', async () => {
  const database = new Database(orders);
  const backup = await untracked(database, 'orders');
  database.exec('DROP TABLE orders');
  await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({code: 'TABLE_NOT_FOUND'});
});

test('rows without a primary key cannot be merged; replace brings them, with their rowids', async () => {
  const database = new Database(
    "CREATE TABLE log (line TEXT); INSERT INTO log (rowid, line) VALUES (5, 'a'), (9, 'b')",
  );
  const backup = await untracked(database, 'log');
  database.exec("DELETE FROM log WHERE line = 'a'; INSERT INTO log VALUES ('c')");
  await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({code: 'UNSUPPORTED'});
  await merge(database.source, backup, 'replace');
  expect(database.db.prepare('SELECT rowid, line FROM log').all()).toEqual([
    {rowid: 5, line: 'a'},
    {rowid: 9, line: 'b'},
  ]);
});

const family = `CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
  CREATE TABLE orders (id TEXT PRIMARY KEY, customer INTEGER REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE);
  INSERT INTO customers VALUES (1, 'Ann'), (2, 'Bob');
  INSERT INTO orders VALUES ('a', 1), ('b', 2);`;

test('a row whose parent is gone is refused alone, and comes back together with the parent', async () => {
  const database = new Database(family, {foreignKeys: true});
  const [both, alone] = [await untracked(database, 'customers', 'orders'), await untracked(database, 'orders')];
  database.exec('DELETE FROM customers WHERE id = 2');
  expect(rowsOf(database)).toEqual(['a 1']);
  await expect(merge(database.source, alone, 'merge')).rejects.toMatchObject({
    code: 'PRECONDITION',
    details: ["of orders to customers: the row with id 'b'"],
  });
  expect(rowsOf(database)).toEqual(['a 1']);
  await merge(database.source, both, 'merge');
  expect(rowsOf(database)).toEqual(['a 1', 'b 2']);
});

test('replace of a parent changes no child, and is refused if one would refer to nothing', async () => {
  const database = new Database(family, {foreignKeys: true});
  const backup = await untracked(database, 'customers');
  database.exec("UPDATE customers SET name = 'Anna' WHERE id = 1; INSERT INTO customers VALUES (3, 'Cy')");
  await merge(database.source, backup, 'replace');
  expect(rowsOf(database, 'customers')).toEqual(['1 Ann', '2 Bob']);
  expect(rowsOf(database)).toEqual(['a 1', 'b 2']);
  database.exec("INSERT INTO customers VALUES (3, 'Cy'); INSERT INTO orders VALUES ('c', 3)");
  await expect(merge(database.source, backup, 'replace')).rejects.toMatchObject({code: 'PRECONDITION'});
  expect(rowsOf(database, 'customers')).toHaveLength(3);
});

test('rows that referred to nothing before do not prevent a merge', async () => {
  const database = new Database(family);
  const backup = await untracked(database, 'orders');
  database.exec("INSERT INTO orders VALUES ('z', 99); DELETE FROM orders WHERE id = 'a'");
  await merge(database.source, backup, 'merge');
  expect(rowsOf(database)).toEqual(['a 1', 'b 2', 'z 99']);
});

test('a full-text index over a merged table finds its rows', async () => {
  const database = new Database(`CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
    CREATE VIRTUAL TABLE search USING fts5(body, content='notes', content_rowid='id');
    CREATE TRIGGER ai AFTER INSERT ON notes BEGIN INSERT INTO search (rowid, body) VALUES (NEW.id, NEW.body); END;
    CREATE TRIGGER ad AFTER DELETE ON notes BEGIN
      INSERT INTO search (search, rowid, body) VALUES ('delete', OLD.id, OLD.body); END;
    INSERT INTO notes VALUES (1, 'first'), (2, 'second')`);
  const backup = await untracked(database, 'notes');
  database.exec('DELETE FROM notes WHERE id = 1');
  await merge(database.source, backup, 'merge');
  expect(database.value("SELECT rowid FROM search WHERE search MATCH 'first'")).toBe(1);
  database.exec("INSERT INTO search (search) VALUES ('integrity-check')");
});

test('values that SQLite would convert today are not brought back as others', async () => {
  const database = new Database('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 5)');
  database.db.enableDefensive(false);
  database.exec(`PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'v TEXT', 'v INTEGER');
    PRAGMA writable_schema = RESET`);
  database.close();
  const again = new Database('', {path: database.path});
  const backup = await untracked(again, 't');
  again.exec('DELETE FROM t');
  await expect(merge(again.source, backup, 'merge')).rejects.toMatchObject({
    code: 'PRECONDITION',
    details: ['the row with id 1'],
  });
  expect(rowsOf(again, 't')).toEqual([]);
});
