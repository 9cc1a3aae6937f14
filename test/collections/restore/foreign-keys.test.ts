import {expect, test} from 'vitest';
import {placeWith} from './place.ts';

// Foreign keys between a restored table and one that is not restored.

const shop = `
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, "place ""x" TEXT,
    FOREIGN KEY (customer) REFERENCES customers);
  INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo'), (3, 'Cy');
  INSERT INTO orders (id, customer) VALUES (10, 1), (20, 2), (30, 3), (40, NULL), (50, 77);`;

async function afterBackup(change: string) {
  const place = await placeWith(shop);
  await place.bench.backup('c', 'full');
  place.notices();
  place.exec(change);
  return place;
}

test('rows that lead to no row of a living table are counted, with an example', async () => {
  const place = await afterBackup('DROP TABLE orders; DELETE FROM customers WHERE id > 1');
  await place.restore(['orders']);
  expect(place.all('SELECT count(*) FROM orders')).toEqual(['5']);
  expect(place.notices()).toBe(
    '3 rows of orders refer to rows of customers that do not exist (for example customer = 2): ' +
      'find them with PRAGMA foreign_key_check("orders")',
  );
});

test('the same holds for living rows that lead to a restored table', async () => {
  const place = await afterBackup(`INSERT INTO customers VALUES (77, 'Di'), (4, 'Ed');
    INSERT INTO orders (customer) VALUES (4); DROP TABLE customers`);
  await place.restore(['customers']);
  expect(place.notices()).toMatch(/^2 rows of orders refer to rows of customers that do not exist \(for example/);
});

test('nothing is reported where all keys lead to a row, or where both tables are restored', async () => {
  const place = await afterBackup(`DELETE FROM customers; INSERT INTO customers SELECT id, '' FROM
    (SELECT customer AS id FROM orders WHERE customer NOT NULL); DROP TABLE orders`);
  await place.restore(['orders']);
  expect(place.notices()).toBe('');
  await place.restore(['orders', 'customers'], 'new.db');
  expect(place.notices()).toBe('');
});

test('a table that refers to one that the target lacks is restored, and the user learns of it', async () => {
  const place = await afterBackup('');
  await place.restore(['orders AS old'], 'new.db');
  expect(place.notices()).toBe(
    'old refers to customers, which does not exist here: with foreign keys switched on, SQLite refuses to write to ' +
      'old until it does',
  );
});
