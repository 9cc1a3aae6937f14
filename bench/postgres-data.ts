import type {PostgresServer} from './postgres-server.ts';

export const shopTables = ['customers', 'orders', 'order_items', 'events'] as const;

/**
 * A shop: serial keys, a composite key, and a random key (uuid) whose rows lie in the order of their insertion. Scale 1
 * is 7.5 million rows, about 950 MB as text.
 */
const tables = `
  CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, address text,
    profile jsonb, joined_at timestamptz NOT NULL);
  CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, status text NOT NULL,
    deliver_to text NOT NULL, note text, placed_at timestamptz NOT NULL, total numeric(12, 2));
  CREATE TABLE order_items (order_id bigint NOT NULL REFERENCES orders, line int NOT NULL, sku text NOT NULL,
    title text NOT NULL, quantity int NOT NULL, price numeric(10, 2) NOT NULL, PRIMARY KEY (order_id, line));
  CREATE TABLE events (id uuid PRIMARY KEY, order_id bigint, kind text NOT NULL, at timestamptz NOT NULL, body jsonb);`;

const indexes = `
  CREATE INDEX orders_by_customer ON orders (customer_id);
  CREATE INDEX orders_by_day ON orders (placed_at);
  CREATE INDEX items_by_sku ON order_items (sku);
  CREATE INDEX events_by_order ON events (order_id);`;

/** Numbers that look random and are the same in each run. */
const mixed = (of: string, below: number) => `(hashint8(${of}::bigint) & 2147483647) % ${below}`;
const words =
  "'kalo','miren','tasvo','beldor','fingal','hemjun','korlun','marnos','pelquin','rassol','turvin','wexyor'";
const word = (of: string) => `(ARRAY[${words}])[1 + ${mixed(of, 12)}]`;

function rows(scale: number): string {
  const count = (rows: number) => Math.round(rows * scale);
  return `
  INSERT INTO customers SELECT g, initcap(${word('g')}) || ' ' || initcap(${word('g + 7')}), 'c' || g || '@example.com',
    ${mixed('g + 3', 999)} || ' ' || initcap(${word('g + 11')}) || ' street, ' || initcap(${word('g + 13')}),
    jsonb_build_object('tier', ${mixed('g + 17', 4)}, 'tags', jsonb_build_array(${word('g + 19')}, ${word('g + 23')}),
      'newsletter', g % 3 = 0, 'token', md5(g::text)),
    '2020-01-01Z'::timestamptz + g * interval '7 seconds' FROM generate_series(1, ${count(350_000)}) g;
  INSERT INTO orders SELECT g, 1 + ${mixed('g', count(350_000))},
    (ARRAY['open','paid','sent','sent','sent','back'])[1 + ${mixed('g + 1', 6)}],
    ${mixed('g + 3', 999)} || ' ' || initcap(${word('g + 11')}) || ' street, ' || initcap(${word('g + 13')}),
    CASE WHEN g % 4 = 0 THEN ${word('g + 29')} || ' ' || ${word('g + 31')} || ' ' || ${word('g + 37')} END,
    '2021-01-01Z'::timestamptz + g * interval '11.3 seconds', ${mixed('g + 41', 100_000)} / 100.0
    FROM generate_series(1, ${count(1_300_000)}) g;
  INSERT INTO order_items SELECT 1 + g / 3, 1 + g % 3, 'S' || ${mixed('g', 20_000)},
    ${word('g + 2')} || ' ' || ${word('g + 5')}, 1 + ${mixed('g + 43', 9)}, ${mixed('g + 47', 20_000)} / 100.0
    FROM generate_series(0, ${count(3_900_000) - 1}) g;
  INSERT INTO events SELECT md5('e' || g)::uuid, 1 + ${mixed('g', count(1_300_000))},
    (ARRAY['viewed','added','paid','sent'])[1 + ${mixed('g + 1', 4)}],
    '2021-01-01Z'::timestamptz + g * interval '7.1 seconds',
    jsonb_build_object('agent', 'Browser/' || ${mixed('g + 53', 20)},
      'address', '10.' || ${mixed('g + 59', 255)} || '.' || ${mixed('g + 61', 255)} || '.7',
      'session', md5((g / 5)::text), 'path', '/' || ${word('g + 67')} || '/' || ${mixed('g + 71', 5000)},
      'ms', ${mixed('g + 73', 900)}) FROM generate_series(1, ${count(1_950_000)}) g;`;
}

/** @returns the name of the database with the shop, which is generated only once */
export function shopOf(server: PostgresServer, scale: number): string {
  const name = `shop_${scale}`.replace('.', '_');
  const exists = server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${name}'`) === '1';
  if (exists) return name;
  server.sql('postgres', 'DROP DATABASE IF EXISTS making; CREATE DATABASE making');
  server.sql('making', tables + rows(scale) + indexes);
  server.sql('making', 'VACUUM (FREEZE, ANALYZE)');
  server.sql('postgres', `ALTER DATABASE making RENAME TO ${name}`);
  return name;
}

/** Updates 0.9 % of the rows, deletes 0.05 %, inserts 0.05 %, scattered over all tables. */
export const changeShop = `
  UPDATE customers SET address = address || ' b' WHERE id % 111 = 5;
  UPDATE orders SET status = 'paid', total = total + 1 WHERE id % 111 = 7;
  UPDATE order_items SET quantity = quantity + 1 WHERE order_id % 111 = 9;
  UPDATE events SET kind = 'seen' WHERE hashint8(extract(epoch FROM at)::bigint) % 111 = 3;
  DELETE FROM order_items WHERE order_id % 2000 = 3;
  DELETE FROM events WHERE hashint8(extract(epoch FROM at)::bigint) % 2000 = 4;
  INSERT INTO order_items SELECT order_id, 90, sku, title, 1, price FROM order_items
    WHERE line = 1 AND order_id % 700 = 11;
  INSERT INTO events SELECT md5('n' || id::text)::uuid, order_id, kind, now(), body FROM events
    WHERE hashint8(extract(epoch FROM at)::bigint) % 2000 = 5;`;
