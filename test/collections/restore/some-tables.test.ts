import {describe, expect, test} from 'vitest';
import {placeWith} from './place.ts';

// RESTORE … TABLE: some tables of a backup, with everything that belongs to them, and nothing else.

const shop = `
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
  CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER REFERENCES customers, total REAL);
  CREATE INDEX orders_by_customer ON orders (customer);
  CREATE TABLE changes (what TEXT);
  CREATE TRIGGER orders_ai AFTER INSERT ON orders BEGIN INSERT INTO changes VALUES ('order ' || NEW.id); END;
  CREATE VIEW large AS SELECT * FROM orders WHERE total > 10;
  INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo');
  INSERT INTO orders (customer, total) VALUES (1, 5), (2, 50);
  DELETE FROM orders WHERE id = 1;`;
const namesIn = `SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name`;

describe('RESTORE … TABLE', () => {
  test('brings a lost table back beside the living ones, with its index, trigger and counter', async () => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    const before = place.all(namesIn);
    place.exec(`DROP TABLE orders; INSERT INTO customers VALUES (3, 'Cy')`);
    await place.restore(['orders']);
    expect(place.all(namesIn)).toEqual(before);
    expect(place.all('SELECT * FROM orders')).toEqual(['2|2|50']);
    expect(place.all('SELECT count(*) FROM customers')).toEqual(['3']);
    place.exec('INSERT INTO orders (customer, total) VALUES (1, 7)');
    expect(place.all('SELECT max(id) FROM orders')).toEqual(['3']);
    expect(place.all('SELECT what FROM changes')).toEqual(['order 1', 'order 2', 'order 3']);
  });

  test('finds a table by its name as it is, or as SQL writes it', async () => {
    const place = await placeWith('CREATE TABLE "my table" (id INTEGER PRIMARY KEY); CREATE TABLE "a.b" (id)');
    await place.bench.backup('c', 'full');
    await place.restore(['"my table"', 'a.b AS my copy'], 'quoted.db');
    expect(place.all(namesIn, 'quoted.db')).toEqual(['my copy', 'my table']);
    await place.restore(['my table', '"a.b"'], 'plain.db');
    expect(place.all(namesIn, 'plain.db')).toEqual(['a.b', 'my table']);
  });

  test('of the empty name, which SQLite allows, from an increment; its tracking is not of the user', async () => {
    const place = await placeWith('CREATE TABLE "" (id INTEGER PRIMARY KEY, v); INSERT INTO "" VALUES (1, 2)', {
      incremental: true,
    });
    await place.bench.backup('c', 'full');
    place.exec('INSERT INTO "" VALUES (3, 4)');
    await place.bench.backup('c', 'incremental');
    expect(place.notices()).not.toMatch(/_bkp_/);
    place.exec('DROP TABLE ""; CREATE TABLE other (x)');
    await place.restore(['']);
    expect(place.all('SELECT * FROM ""')).toEqual(['1|2', '3|4']);
  });

  test('beside a trigger of the same name, which SQLite keeps apart', async () => {
    const place = await placeWith(`
      CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE log (x); INSERT INTO log VALUES (1);
      CREATE TRIGGER log AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.id); END;
      CREATE TABLE u (x); CREATE INDEX log_x ON u (x); CREATE TRIGGER log_x AFTER INSERT ON t BEGIN SELECT 1; END;`);
    await place.bench.backup('c', 'full');
    place.exec('DROP TABLE log; DROP TABLE u');
    await place.restore(['log', 'u']);
    place.exec('INSERT INTO t VALUES (7)');
    expect(place.all('SELECT x FROM log')).toEqual(['1', '7']);
  });

  test('into a new database brings the named tables only, in any case of their names', async () => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    place.notices();
    await place.restore(['main.ORDERS', 'customers'], 'new.db');
    expect(place.all(namesIn, 'new.db')).toEqual(['customers', 'orders', 'orders_by_customer']);
    expect(place.notices()).toMatch(/view large uses orders, and only comes if it is named too/);
  });

  test('beside a view of it that is still there, which is not said to be missing', async () => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    place.notices();
    place.exec('DROP TABLE orders');
    await place.restore(['orders']);
    expect(place.notices()).not.toMatch(/large/);
    expect(place.all('SELECT id FROM large')).toEqual(['2']);
  });

  test('brings a named view', async () => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    await place.restore(['orders', 'large'], 'new.db');
    expect(place.all('SELECT id FROM large', 'new.db')).toEqual(['2']);
  });

  test('brings the tables of a full-text index with it, and refuses one of them alone', async () => {
    const place = await placeWith(`
      CREATE TABLE other (id INTEGER PRIMARY KEY);
      CREATE VIRTUAL TABLE notes USING fts5(body);
      CREATE TABLE notes_of_mine (id INTEGER PRIMARY KEY);
      INSERT INTO notes VALUES ('moor is wet'), ('heath is dry');`);
    await place.bench.backup('c', 'full');
    await expect(place.restore(['notes_data'], 'new.db')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      next: expect.stringContaining('TABLE notes'),
    });
    await place.restore(['notes'], 'new.db');
    expect(place.all(`SELECT body FROM notes WHERE notes MATCH 'wet'`, 'new.db')).toEqual(['moor is wet']);
    expect(place.all(namesIn, 'new.db')).not.toContain('notes_of_mine');
  });

  test.each([
    [['order'], {code: 'TABLE_NOT_FOUND', next: 'did you mean orders?'}],
    [['orders', 'Orders'], {code: 'BAD_REQUEST', message: 'table orders is named twice'}],
    [
      ['orders'],
      {
        code: 'TABLE_EXISTS',
        message: 'path exist: /Root/orders',
        next: expect.stringMatching(
          /^restore a copy beside it: RESTORE c TABLE orders AS orders_restored AT .*MODE='merge'\); or .* INTO '.*'$/,
        ),
      },
    ],
  ])('refuses %j', async (names, error) => {
    const place = await placeWith(shop);
    await place.bench.backup('c', 'full');
    await expect(place.restore(names)).rejects.toMatchObject(error);
  });
});

test('a table that the newest backup lacks is proposed from the newest one that has it', async () => {
  const place = await placeWith(shop);
  await place.bench.backup('c', 'full');
  place.exec('DROP TABLE orders');
  await place.bench.backup('c', 'full');
  await expect(place.restore(['orders AS old'])).rejects.toMatchObject({
    code: 'TABLE_NOT_FOUND',
    next: expect.stringMatching(/^the newest backup that has it: RESTORE c TABLE orders AS `?old`? AT '\d{14}Z_full'/),
  });
  await expect(place.restore(['nothing'])).rejects.toMatchObject({next: expect.stringMatching(/^it has /)});
});

test('a restore of everything that meets some of its tables names those that are missing', async () => {
  const place = await placeWith('CREATE TABLE a (x); CREATE TABLE "b c" (x); CREATE TABLE d (x)');
  await place.bench.backup('c', 'full');
  place.exec('DROP TABLE "b c"');
  const failure = await place.bench.restore('c', place.path('app.db')).catch((error) => error);
  expect(failure).toMatchObject({
    code: 'TABLE_EXISTS',
    next: expect.stringMatching(/^restore only what is missing: RESTORE c TABLE `b c` AT '\d{14}Z_full'; or /),
  });
});
