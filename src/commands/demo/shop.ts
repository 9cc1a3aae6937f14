import {DatabaseSync} from 'node:sqlite';

/** Tables of the shop, referenced tables first. */
export const shopTables = ['customers', 'products', 'orders', 'order_items'] as const;

const schema = `
  CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    phone TEXT,
    address TEXT,
    city TEXT,
    joined_at TEXT NOT NULL
  );
  CREATE TABLE products (
    sku TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0),
    stock INTEGER NOT NULL DEFAULT 0
  ) WITHOUT ROWID;
  CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    status TEXT NOT NULL DEFAULT 'open',
    deliver_to TEXT NOT NULL,
    note TEXT,
    placed_at TEXT NOT NULL,
    paid_at TEXT
  );
  CREATE TABLE order_items (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    line INTEGER NOT NULL,
    sku TEXT NOT NULL REFERENCES products (sku),
    title TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price_cents INTEGER NOT NULL,
    total_cents INTEGER GENERATED ALWAYS AS (quantity * price_cents) VIRTUAL,
    PRIMARY KEY (order_id, line)
  );
`;

const indexes = `
  CREATE INDEX orders_by_customer ON orders (customer_id);
  CREATE INDEX orders_by_day ON orders (date(placed_at));
  CREATE INDEX orders_open ON orders (placed_at) WHERE status = 'open';
  CREATE INDEX items_by_sku ON order_items (sku);
  CREATE TRIGGER orders_paid AFTER UPDATE OF status ON orders WHEN NEW.status = 'paid' AND NEW.paid_at IS NULL
  BEGIN
    UPDATE orders SET paid_at = NEW.placed_at WHERE id = NEW.id;
  END;
`;

const syllables =
  'ka lo mi ren tas vo bel dor fin gal hem jun kor lun mar nos pel quin ras sol tur vin wex yor zel'.split(' ');
const cities = ['Lisbon', 'Łódź', 'Kyoto', 'Quito', 'Turin', 'Malmö', 'Accra', 'Perth', 'Oaxaca', 'Tromsø'];
const statuses = ['open', 'paid', 'sent', 'sent', 'sent', 'back'];
const rowsInOneTransaction = 200_000;

/** A generator of numbers below n with a fixed sequence (xorshift, 32 bits). */
export function numbers(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/**
 * A small realistic shop with the same rows in every run: for each customer about 5 orders of about 1.5 items.
 * @returns number of rows in all tables
 */
export function makeShop(file: string, customers: number): number {
  const db = new DatabaseSync(file);
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
    db.exec(schema);
    const rows = fillShop(db, customers);
    db.exec(indexes);
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return rows;
  } finally {
    db.close();
  }
}

function fillShop(db: DatabaseSync, customers: number): number {
  const next = numbers(20_261_121);
  const word = () => syllables[next(25)]! + syllables[next(25)]! + (next(3) === 0 ? syllables[next(25)]! : '');
  const words = (count: number) => Array.from({length: count}, word).join(' ');
  const moment = (order: number) => new Date(1_600_000_000_000 + order * 21_000 + next(20_000)).toISOString();
  const products = Math.max(20, Math.floor(customers / 20));
  const sku = (product: number) => `${syllables[product % 25]}-${String(product).padStart(7, '0')}`;

  const titles = Array.from({length: products}, () => words(3));
  const address = () => `${1 + next(200)} ${word()} street, ${cities[next(10)]}`;

  const insertProduct = db.prepare('INSERT INTO products VALUES (?, ?, ?, ?)');
  const insertCustomer = db.prepare('INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?)');
  const insertOrder = db.prepare(
    'INSERT INTO orders (id, customer_id, status, deliver_to, note, placed_at, paid_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const insertItem = db.prepare(
    'INSERT INTO order_items (order_id, line, sku, title, quantity, price_cents) VALUES (?, ?, ?, ?, ?, ?)',
  );

  let rows = 0;
  const count = () => {
    rows++;
    if (rows % rowsInOneTransaction === 0) db.exec('COMMIT; BEGIN');
  };
  db.exec('BEGIN');
  for (let product = 0; product < products; product++, count()) {
    insertProduct.run(sku(product), titles[product]!, 100 + next(20_000), next(1000));
  }
  for (let customer = 1; customer <= customers; customer++, count()) {
    const [first, last] = [word(), word()];
    insertCustomer.run(
      customer,
      `${first} ${last}`,
      `${first}.${last}.${customer}@example.org`,
      `+${10 + next(80)} ${100_000_000 + next(900_000_000)}`,
      address(),
      cities[next(10)]!,
      moment(customer),
    );
  }
  for (let order = 1; order <= customers * 5; order++, count()) {
    const status = statuses[next(6)]!;
    const placed = moment(order);
    insertOrder.run(
      order,
      1 + next(customers),
      status,
      address(),
      next(2) === 0 ? words(4 + next(14)) : null,
      placed,
      status === 'open' ? null : placed,
    );
    const lines = 1 + next(2);
    for (let line = 1; line <= lines; line++, count()) {
      const product = next(products);
      insertItem.run(order, line, sku(product), titles[product]!, 1 + next(5), 100 + next(20_000));
    }
  }
  db.exec('COMMIT');
  return rows;
}

export type Changes = {updated: number; deleted: number; inserted: number};

/**
 * The changes of a day, scattered over all tables: 1 % of the rows of orders and order_items updated, 0.2 %
 * deleted, 1 % inserted.
 */
export function changeShop(file: string): Changes {
  const db = new DatabaseSync(file);
  try {
    db.exec('PRAGMA synchronous = OFF; BEGIN');
    const changes = {updated: 0, deleted: 0, inserted: 0};
    const run = (kind: keyof Changes, sql: string) => {
      changes[kind] += Number(db.prepare(sql).run().changes);
    };
    // A multiplicative hash of the key selects rows all over the table, the same ones in every run.
    run('updated', "UPDATE orders SET status = 'paid', note = 'paid late, ' || id WHERE (id * 2654435761) % 100 = 7");
    run(
      'updated',
      'UPDATE order_items SET quantity = quantity + 1 WHERE (order_id * 2654435761 + line * 40503) % 100 = 7',
    );
    run('deleted', 'DELETE FROM order_items WHERE (order_id * 2654435761 + line * 40503) % 500 = 11');
    run(
      'deleted',
      'DELETE FROM orders WHERE (id * 2654435761) % 500 = 11 AND NOT EXISTS (SELECT 1 FROM order_items WHERE ' +
        'order_id = orders.id)',
    );
    // New lines of old orders are scattered too; new orders come last, as in a real shop.
    run(
      'inserted',
      'INSERT INTO order_items (order_id, line, sku, title, quantity, price_cents) SELECT order_id, 100 + line, ' +
        'sku, title, 1, 999 FROM order_items WHERE (order_id * 2654435761 + line * 40503) % 100 = 13',
    );
    run(
      'inserted',
      "INSERT INTO orders (customer_id, status, deliver_to, note, placed_at) SELECT customer_id, 'open', " +
        'deliver_to, note, placed_at FROM orders WHERE (id * 2654435761) % 100 = 13',
    );
    db.exec('COMMIT');
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return changes;
  } finally {
    db.close();
  }
}
