import {describe, expect, test} from 'vitest';
import {placeWith} from './place.ts';

// RESTORE … TABLE t AS u: a copy beside the living tables, with all that refers to it.

const shop = `
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
  CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER REFERENCES customers (id), parent REFERENCES orders,
    total REAL CHECK (orders.total >= 0), code TEXT UNIQUE, double AS (total * 2) STORED);
  CREATE INDEX orders_by_customer ON orders (customer);
  CREATE UNIQUE INDEX codes ON orders (upper(code)) WHERE code IS NOT NULL;
  CREATE TRIGGER orders_au AFTER UPDATE ON orders WHEN NEW.total > 100 BEGIN
    UPDATE orders SET code = 'large' || NEW.id WHERE id = NEW.id AND EXISTS (SELECT 1 FROM customers); END;
  INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo');
  INSERT INTO orders (customer, total, code) VALUES (1, 5, 'a'), (2, 50, 'b'), (2, 7, NULL);
  UPDATE orders SET parent = 1 WHERE id = 2;
  DELETE FROM orders WHERE id = 3;`;
const rows = 'SELECT id, customer, parent, total, code, double FROM';
const schema = (like: string) => `SELECT sql FROM sqlite_schema WHERE sql LIKE '${like}'`;

describe('a table under another name', () => {
  test.each(['app.db', 'new.db'])('comes with indexes, constraints, trigger and counter (%s)', async (target) => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    place.exec(`UPDATE orders SET total = 1`);
    await place.restore(['orders AS orders_before'], target);
    expect(place.all(`${rows} orders_before`, target)).toEqual(['1|1||5|a|10', '2|2|1|50|b|100']);
    if (target === 'app.db') expect(place.all('SELECT max(total) FROM orders')).toEqual(['1']);
    expect(place.all(schema('CREATE TABLE "orders_before"%'), target).join()).toMatch(
      /parent REFERENCES "orders_before"/,
    );
    place.exec(`UPDATE orders_before SET total = 200 WHERE id = 1`, target);
    expect(place.all(`SELECT code FROM orders_before WHERE id = 1`, target)).toEqual(
      // The trigger reads customers, which the new database does not have.
      target === 'app.db' ? ['large1'] : ['a'],
    );
    place.exec(`INSERT INTO orders_before (total) VALUES (1)`, target);
    expect(place.all('SELECT max(id) FROM orders_before', target)).toEqual(['4']);
    expect(() => place.exec(`INSERT INTO orders_before (code) VALUES ('B')`, target)).toThrow(/UNIQUE/);
    expect(() => place.exec('INSERT INTO orders_before (total) VALUES (-1)', target)).toThrow(/CHECK/);
    expect(place.all('PRAGMA integrity_check', target)).toEqual(['ok']);
    expect(place.all('PRAGMA foreign_key_check', target)).toEqual(
      target === 'app.db' ? [] : expect.arrayContaining([expect.stringContaining('customers')]),
    );
  });

  test('gets new names for indexes and triggers where the old ones are taken, and reports them', async () => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    place.notices();
    await place.restore(['orders AS orders_before']);
    const names = place.all(
      `SELECT name FROM sqlite_schema WHERE tbl_name = 'orders_before' AND sql NOT NULL ORDER BY 1`,
    );
    expect(names).toEqual(['orders_before', 'orders_before_au', 'orders_before_by_customer', 'orders_before_codes']);
    expect(place.notices()).toMatch(/index orders_by_customer of orders is named orders_before_by_customer/);
    await place.restore(['orders AS orders_before'], 'new.db');
    expect(place.all(schema('CREATE INDEX%'), 'new.db')).toEqual([
      'CREATE INDEX "orders_by_customer" ON "orders_before" (customer)',
    ]);
  });

  test('can exchange its name with another one, and take the name of an index', async () => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    await place.restore(['orders AS customers', 'customers AS ORDERS'], 'new.db');
    expect(place.all('SELECT name FROM ORDERS', 'new.db')).toEqual(['Ada', 'Bo']);
    expect(place.all('SELECT customer FROM customers', 'new.db')).toEqual(['1', '2']);
    expect(place.all('PRAGMA foreign_key_check', 'new.db')).toEqual([]);
    await place.restore(['orders AS orders_by_customer'], 'other.db');
    expect(place.all(`SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY 1`, 'other.db')).toEqual([
      'codes',
      'orders_by_customer_by_customer',
      'sqlite_autoindex_orders_by_customer_1',
    ]);
  });

  test('refers to a table that is renamed with it; a table that keeps its name keeps its statements', async () => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    await place.restore(['orders AS o', 'customers AS k'], 'new.db');
    expect(place.all(`SELECT "table" FROM pragma_foreign_key_list('o') ORDER BY 1`, 'new.db')).toEqual(['k', 'o']);
    const original = place.all(schema('CREATE TABLE orders%'));
    await place.restore(['orders', 'customers AS k'], 'other.db');
    expect(place.all(schema('CREATE TABLE orders%'), 'other.db')).toEqual(original);
  });

  test('has no trigger that would write to a living table, and none that cannot be moved', async () => {
    const place = await placeWith(`
      CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
      CREATE VIRTUAL TABLE found USING fts5(body, content = 'notes', content_rowid = 'id');
      CREATE TRIGGER ai AFTER INSERT ON notes BEGIN INSERT INTO found (rowid, body) VALUES (NEW.id, NEW.body); END;
      CREATE TRIGGER ad AFTER DELETE ON notes BEGIN
        INSERT INTO found (found, rowid, body) VALUES ('delete', OLD.id, OLD.body); END;
      CREATE TRIGGER gone AFTER UPDATE ON notes BEGIN SELECT * FROM missing; END;
      INSERT INTO found (found) VALUES ('rebuild')`);
    place.exec(`INSERT INTO notes (body) VALUES ('wet moor')`);
    await place.bench.backup('c', 'full');
    place.notices();
    await place.restore(['notes AS notes_before']);
    place.exec(`UPDATE notes_before SET body = 'dry'; DELETE FROM notes_before`);
    expect(place.all(`SELECT rowid FROM found WHERE found MATCH 'wet'`)).toEqual(['1']);
    const notices = place.notices();
    for (const name of ['ai', 'ad'])
      expect(notices).toMatch(new RegExp(`trigger ${name} of notes does not come .*found`));
    expect(notices).toMatch(/trigger gone of notes does not come to notes_before: it needs missing/);
  });

  test('comes from a chain with changes after its base', async () => {
    const place = await placeWith(shop, {incremental: true});
    await place.bench.backup('c', 'full');
    place.exec(`UPDATE orders SET total = 60 WHERE id = 2; INSERT INTO orders (total) VALUES (3)`);
    await place.bench.backup('c', 'incremental');
    await place.restore(['orders AS "o "']);
    expect(place.all('SELECT id, total FROM """o """')).toEqual(['1|5', '2|60', '4|3']);
  });

  test.each([
    ['orders AS sqlite_x', 'BAD_NAME'],
    ['orders AS _bkp_x', 'BAD_NAME'],
    ['orders AS customers', 'TABLE_EXISTS'],
  ])('%s is refused', async (table, code) => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    await expect(place.restore([table])).rejects.toMatchObject({code});
  });

  test('is refused where two tables would have one name, and for a view and a full-text index', async () => {
    const place = await placeWith(`CREATE TABLE a (x); CREATE TABLE b (x); CREATE VIEW v AS SELECT * FROM a;
      CREATE VIRTUAL TABLE f USING fts5(x, content = 'a')`);
    await place.bench.backup('c', 'full');
    for (const [tables, code] of [
      [['a AS n', 'b AS N'], 'BAD_REQUEST'],
      [['a AS b', 'b'], 'BAD_REQUEST'],
      [['v AS w'], 'UNSUPPORTED'],
      [['f AS g'], 'UNSUPPORTED'],
      [['a AS n', 'f'], 'UNSUPPORTED'],
    ] as const) {
      await expect(place.restore(tables, 'new.db'), tables.join()).rejects.toMatchObject({code});
    }
  });
});
