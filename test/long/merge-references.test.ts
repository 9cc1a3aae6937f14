import {expect, test} from 'vitest';
import {imageOf} from '../helpers/sqlite-compare.ts';
import {merge, takeFull} from '../sources/layers.ts';
import {Database} from '../sources/sqlite/database.ts';

/** Tables of orders, and how an error names the second one. */
const tables = [
  ['id INTEGER PRIMARY KEY, customer REFERENCES customers)', 'id 2'],
  ['id TEXT COLLATE NOCASE PRIMARY KEY, customer INT REFERENCES customers (id))', "id '2'"],
  ['id INT, customer INT REFERENCES customers, PRIMARY KEY (customer, id))', 'customer 99, id 2'],
  ['id INT PRIMARY KEY, customer TEXT REFERENCES customers) WITHOUT ROWID', 'id 2'],
  ['id INT, customer TEXT REFERENCES customers)', 'rowid 2'],
] as const;

test.each(tables)('a row that led nowhere before hides no other: %s', async (columns, row) => {
  const database = new Database(`CREATE TABLE orders (${columns};
    INSERT INTO orders VALUES (1, 98), (2, 99), (3, NULL);
    CREATE TABLE customers (id INTEGER PRIMARY KEY); INSERT INTO customers VALUES (1)`);
  const customers = await takeFull(database.source, {tables: ['customers']});
  database.exec('INSERT INTO customers VALUES (99)');
  const before = imageOf(database.path);
  for (const dryRun of [true, false]) {
    await expect(merge(database.source, customers, 'replace', {dryRun})).rejects.toMatchObject({
      code: 'PRECONDITION',
      details: [`of orders to customers: the row with ${row}`],
    });
    expect(imageOf(database.path)).toEqual(before);
  }
});

test.each(tables)('as many rows as before that lead nowhere are not the same ones: %s', async (columns, row) => {
  const database = new Database(`CREATE TABLE orders (${columns};
    INSERT INTO orders VALUES (1, 1), (2, 99), (3, NULL);
    CREATE TABLE customers (id INTEGER PRIMARY KEY); INSERT INTO customers VALUES (1), (99)`);
  const orders = await takeFull(database.source, {tables: ['orders']});
  database.exec(`DELETE FROM customers WHERE id = 99;
    UPDATE orders SET customer = 98 WHERE id = 1; UPDATE orders SET customer = 1 WHERE id = 2`);
  for (const dryRun of [true, false]) {
    const merged = merge(database.source, orders, 'replace', {dryRun});
    // Without a key, all rows are new ones.
    if (row === 'rowid 2') expect(await merged).toMatchObject([{inserted: 3, deleted: 3}]);
    else await expect(merged).rejects.toMatchObject({details: [`of orders to customers: the row with ${row}`]});
  }
});
