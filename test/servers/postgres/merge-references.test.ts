import {expect, test} from 'vitest';
import {merge, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest, type TestDatabase} from './cluster.ts';

// Foreign keys between tables that are merged and replaced together, and to others.

const cluster = clusterOfFile('contrib');

const made = (sql: string) => databaseOfTest(cluster(), sql);

const full = ({source}: TestDatabase, ...tables: string[]) =>
  takeFull(source, {tables: tables.map((table) => `public.${table}`), track: {owner: 'c'}});

const counted = (name: string, inserted: number, updated: number, deleted: number, kept = 0) => ({
  ...{name: `public.${name}`, inserted, updated, deleted, kept},
});

test.each(['NO ACTION', 'RESTRICT', 'CASCADE', 'SET NULL', 'SET DEFAULT'])(
  'rows that stay may refer to rows that go, ON DELETE %s',
  async (action) => {
    const database = await made(`CREATE TABLE p (id int PRIMARY KEY);
      CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE ${action}, v text);
      CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE ${action});
      CREATE TABLE noted (id int PRIMARY KEY, tree int REFERENCES tree ON DELETE CASCADE);
      INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, 1, 'a'), (2, 2, 'b');
      INSERT INTO tree VALUES (1, NULL), (2, 1); INSERT INTO noted VALUES (1, 2)`);
    const backup = await full(database, 'p', 'c', 'tree');
    const keys = "(SELECT conname, condeferrable, condeferred FROM pg_constraint WHERE contype = 'f')";
    const before = await database.rows(keys);
    await database.exec(`INSERT INTO p VALUES (5); UPDATE c SET p = 5 WHERE id = 1;
      DELETE FROM c WHERE id = 2; DELETE FROM p WHERE id = 2;
      INSERT INTO tree VALUES (9, NULL), (8, 9); UPDATE tree SET up = 8 WHERE id = 2`);
    const expected = [counted('p', 1, 0, 1), counted('c', 1, 1, 0), counted('tree', 0, 1, 2)];
    expect(await merge(database.source, backup, 'replace', {dryRun: true})).toEqual(expected);
    expect(await merge(database.source, backup, 'replace')).toEqual(expected);
    expect(await database.rows('c')).toEqual(['(1,1,a)', '(2,2,b)']);
    expect(await database.rows('tree')).toEqual(['(1,)', '(2,1)']);
    expect(await database.rows('noted')).toEqual(['(1,2)']);
    expect(await database.rows(keys)).toEqual(before);
  },
);

test('tables that refer to each other come back together', async () => {
  const database = await made(`CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL);
    CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a ON DELETE RESTRICT);
    INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 1), (2, 2);
    ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (b) REFERENCES b`);
  const backup = await full(database, 'a', 'b');
  await database.exec(`ALTER TABLE a ALTER CONSTRAINT to_b DEFERRABLE INITIALLY DEFERRED;
    BEGIN; UPDATE a SET b = 2; DELETE FROM b WHERE id = 1; DELETE FROM a WHERE id = 1;
    INSERT INTO a VALUES (3, 3); INSERT INTO b VALUES (3, 3); COMMIT;
    ALTER TABLE a ALTER CONSTRAINT to_b NOT DEFERRABLE`);
  const merged = [counted('a', 1, 0, 0, 1), counted('b', 1, 0, 0, 1)];
  expect(await merge(database.source, backup, 'merge')).toEqual(merged);
  expect(await database.rows('a')).toEqual(['(1,1)', '(2,2)', '(3,3)']);
});

test.each(['a', 'b'])(
  'rows of tables that refer to each other go together, ON DELETE RESTRICT of %s',
  async (strict) => {
    const action = (table: string) => (table === strict ? 'ON DELETE RESTRICT' : '');
    const database = await made(`CREATE TABLE a (id int PRIMARY KEY, b int);
    CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ${action('b')});
    ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b ${action('a')};
    INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1); UPDATE a SET b = 1`);
    const backup = await full(database, 'a', 'b');
    await database.exec(`INSERT INTO a VALUES (2); INSERT INTO b VALUES (2, 2), (3, 1); UPDATE a SET b = 2 WHERE id = 2;
    UPDATE a SET b = 3 WHERE id = 1`);
    expect(await merge(database.source, backup, 'replace')).toEqual([counted('a', 0, 1, 1), counted('b', 0, 0, 2)]);
    expect(await database.rows('a')).toEqual(['(1,1)']);
    expect(await database.rows('b')).toEqual(['(1,1)']);
  },
);

test('a key that acts on rows of a table that is not named refuses, of any type and for any change', async () => {
  const database = await made(`CREATE SCHEMA lib; CREATE EXTENSION citext SCHEMA lib;
    CREATE TABLE words (word lib.citext PRIMARY KEY); CREATE TABLE prices (price numeric PRIMARY KEY, v int);
    CREATE TABLE uses (id int PRIMARY KEY, word lib.citext REFERENCES words ON DELETE CASCADE);
    CREATE TABLE sales (id int PRIMARY KEY, price numeric REFERENCES prices ON UPDATE CASCADE);
    CREATE TABLE more_uses () INHERITS (uses);
    INSERT INTO words VALUES ('a'); INSERT INTO prices VALUES (1.00, 1)`);
  const [words, prices] = [await full(database, 'words'), await full(database, 'prices')];
  await database.exec(`INSERT INTO words VALUES ('B'), ('only below'); INSERT INTO uses VALUES (1, 'b');
    UPDATE prices SET price = 1.0; INSERT INTO sales VALUES (1, 1.0);
    INSERT INTO more_uses VALUES (2, 'only below')`);
  await expect(merge(database.source, words, 'replace')).rejects.toMatchObject({
    message: 'the foreign key uses_word_fkey would delete 1 row of public.uses too',
    next: expect.stringContaining('name both tables'),
  });
  await expect(merge(database.source, prices, 'merge')).rejects.toMatchObject({
    message: 'the foreign key sales_price_fkey would update 1 row of public.sales too',
  });
  await database.exec('DELETE FROM ONLY uses; UPDATE sales SET price = NULL');
  expect(await merge(database.source, words, 'replace')).toEqual([counted('words', 0, 0, 2)]);
  expect(await database.rows('uses')).toEqual(['(2,"only below")']);
  await merge(database.source, prices, 'merge');
  expect(await database.rows('prices')).toEqual(['(1.00,1)']);
});

const byName = (action: string) => `CREATE SCHEMA lib; CREATE EXTENSION citext SCHEMA lib;
  CREATE TABLE users (name lib.citext PRIMARY KEY);
  CREATE TABLE orders (id int PRIMARY KEY, name lib.citext DEFAULT 'eve' REFERENCES users ON UPDATE ${action});
  INSERT INTO users VALUES ('ann'), ('eve'); INSERT INTO orders VALUES (1, 'ann')`;

test.each(['merge', 'replace'] as const)('%s brings back a key that is written differently', async (mode) => {
  const database = await made(byName('CASCADE'));
  const backup = await full(database, 'users', 'orders');
  await database.exec("UPDATE users SET name = 'Ann' WHERE name = 'ann'");
  const expected = [counted('users', 0, 1, 0), counted('orders', 0, 1, 0)];
  expect(await merge(database.source, backup, mode, {dryRun: true})).toEqual(expected);
  expect(await merge(database.source, backup, mode)).toEqual(expected);
  expect(await database.rows('users')).toEqual(['(ann)', '(eve)']);
  expect(await database.rows('orders')).toEqual(['(1,ann)']);
});

test.each(['CASCADE', 'SET NULL', 'SET DEFAULT'])(
  'a key that is written differently is refused if a row that stays would change with it, ON UPDATE %s',
  async (action) => {
    const database = await made(byName(action));
    const backup = await full(database, 'users', 'orders');
    await database.exec(`DELETE FROM orders; UPDATE users SET name = 'Ann' WHERE name = 'ann';
      INSERT INTO orders VALUES (1, 'Ann'), (2, 'Ann')`);
    await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringMatching(
        /^the foreign key orders_name_fkey would update [12] rows? of public.orders too$/u,
      ),
    });
    expect(await database.rows('orders')).toEqual(['(1,Ann)', '(2,Ann)']);
    if (action !== 'CASCADE') return;
    await database.exec("UPDATE orders SET name = 'ann'");
    await merge(database.source, backup, 'merge');
    expect(await database.rows('users')).toEqual(['(ann)', '(eve)']);
    expect(await database.rows('orders')).toEqual(['(1,ann)', '(2,ann)']);
  },
);

test('a row that stays may break a check that is not valid, and one that comes may not', async () => {
  const database = await made(`CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)`);
  const backup = await full(database, 't');
  await database.exec(`INSERT INTO t VALUES (2, 3); ALTER TABLE t ADD CHECK (n <> 3) NOT VALID`);
  expect(await merge(database.source, backup, 'merge')).toEqual([counted('t', 0, 0, 0, 1)]);
  expect(await database.rows('t')).toEqual(['(1,1)', '(2,3)']);
  await database.exec('ALTER TABLE t DROP CONSTRAINT t_n_check, ADD CHECK (n <> 1) NOT VALID; DELETE FROM t');
  await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({code: 'PRECONDITION'});
  expect(await database.rows('t')).toEqual([]);
});

test('sequences that were set back continue behind the rows of the backup, and others stay', async () => {
  const database = await made(`CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial,
      down int DEFAULT 0, v text);
    CREATE SEQUENCE "Odd seq" INCREMENT -5 OWNED BY t.down; ALTER TABLE t ALTER down SET DEFAULT nextval('"Odd seq"');
    CREATE TABLE ahead (id bigserial PRIMARY KEY);
    INSERT INTO t (v) VALUES ('a'), ('b'); INSERT INTO ahead DEFAULT VALUES`);
  const backup = await full(database, 't', 'ahead');
  await database.exec(`TRUNCATE t RESTART IDENTITY; INSERT INTO ahead DEFAULT VALUES; INSERT INTO t (v) VALUES ('c')`);
  const notices: [string[], string[]] = [[], []];
  for (const dryRun of [true, false]) {
    const [[t]] = [
      await database.rows("(SELECT string_agg(last_value::text, ' ' ORDER BY sequencename) FROM pg_sequences)"),
    ];
    if (dryRun) expect(t).toBe('("-1 2 1 1")');
    await merge(database.source, backup, 'merge', {dryRun, notice: (text) => notices[dryRun ? 0 : 1].push(text)});
  }
  expect(notices[1]).toEqual(notices[0]);
  expect(notices[1]).toEqual([
    'the sequence public.Odd seq goes on with -11, as in the backup; it was at -6',
    'the sequence public.t_id_seq goes on with 3, as in the backup; it was at 2',
    'the sequence public.t_n_seq goes on with 3, as in the backup; it was at 2',
  ]);
  await database.exec("INSERT INTO t (v) VALUES ('new'); INSERT INTO ahead DEFAULT VALUES");
  expect(await database.rows('t')).toEqual(['(1,1,-1,a)', '(2,2,-6,b)', '(3,3,-11,new)']);
  expect(await database.rows('ahead')).toEqual(['(1)', '(2)', '(3)']);
});
