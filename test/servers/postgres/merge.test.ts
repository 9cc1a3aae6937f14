import {expect, test} from 'vitest';
import {type Backup, deltaSize, merge, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest, type TestDatabase} from './cluster.ts';

const cluster = clusterOfFile();
const owner = 'c';

const made = (sql: string) => databaseOfTest(cluster(), sql);

function full({source}: TestDatabase, ...tables: string[]): Promise<Backup> {
  return takeFull(source, {tables: tables.map((table) => `public.${table}`), track: {owner}});
}

const shop = `
  CREATE TABLE customers (id int PRIMARY KEY, name text UNIQUE);
  CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers,
    total numeric, twice numeric GENERATED ALWAYS AS (total * 2) STORED);
  INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo'), (3, 'Cy');
  INSERT INTO orders (customer, total) VALUES (1, 1.5), (2, 2), (3, 3);
  CREATE TABLE audit (what text);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO audit VALUES (tg_op); RETURN NULL; END $$;
  CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION note();
  CREATE RULE counted AS ON INSERT TO orders DO ALSO INSERT INTO audit VALUES ('rule');`;
const damage = `
  DELETE FROM orders WHERE id = 1; UPDATE orders SET total = 2.00 WHERE id = 2;
  INSERT INTO orders (customer, total) VALUES (1, 9); TRUNCATE audit;`;

test.each([
  ['merge', {inserted: 1, updated: 1, deleted: 0, kept: 1}, ['(1,1,1.5,3.0)', '(2,2,2,4)', '(3,3,3,6)', '(4,1,9,18)']],
  ['replace', {inserted: 1, updated: 1, deleted: 1, kept: 0}, ['(1,1,1.5,3.0)', '(2,2,2,4)', '(3,3,3,6)']],
] as const)('%s brings rows back, exactly as its dry run says, and increments continue', async (mode, counts, rows) => {
  const database = await made(shop);
  const backup = await full(database, 'customers', 'orders');
  await database.exec(damage);
  const before = await database.rows('orders');
  const notices: string[] = [];
  const expected = [
    {name: 'public.customers', inserted: 0, updated: 0, deleted: 0, kept: 0},
    {name: 'public.orders', ...counts},
  ];
  expect(await merge(database.source, backup, mode, {dryRun: true})).toEqual(expected);
  expect(await database.rows('orders')).toEqual(before);
  expect(await merge(database.source, backup, mode, {notice: (text) => notices.push(text)})).toEqual(expected);
  expect(await database.rows('orders')).toEqual(rows);
  expect(await database.rows('audit')).toEqual([]);
  expect(notices).toEqual([
    'the rule counted of public.orders did not fire',
    'the trigger noted of public.orders did not fire',
  ]);
  await database.exec('UPDATE orders SET total = 7 WHERE id = 3');
  expect(await database.rows('audit')).toEqual(['(UPDATE)']);
  const next = await takeIncrement(database.source, owner, backup);
  expect(deltaSize(next, 'public.orders')).toEqual(mode === 'merge' ? {keys: 4, rows: 4} : {keys: 4, rows: 3});
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname LIKE '\\_bkp\\_stage%')")).toEqual([]);
});

test('a table without a key is replaced and not merged, columns that joined keep their values', async () => {
  const database = await made(`CREATE TABLE log (line text); INSERT INTO log VALUES ('a'), ('b');
    CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')`);
  const [log, t] = [await takeFull(database.source, {tables: ['public.log']}), await full(database, 't')];
  await database.exec(
    "INSERT INTO log VALUES ('c'); ALTER TABLE t ADD more int DEFAULT 5; UPDATE t SET v = 'x', more = 6",
  );
  await expect(merge(database.source, log, 'merge')).rejects.toMatchObject({code: 'UNSUPPORTED'});
  expect(
    await database.source.survey(
      {...log, stored: log.schemas, objects: [], bytes: 1},
      {rehearse: false, mode: 'merge'},
    ),
  ).toMatchObject({
    obstacle: {code: 'UNSUPPORTED'},
  });
  await merge(database.source, log, 'replace');
  expect(await database.rows('log')).toEqual(['(a)', '(b)']);
  await merge(database.source, t, 'merge');
  expect(await database.rows('t')).toEqual(['(1,a,6)', '(2,b,6)']);
});

test('rows that the living table does not allow are refused, by the dry run too, and nothing changes', async () => {
  const database = await made(shop);
  const backup = await full(database, 'orders');
  const refused = async (change: string, message: RegExp) => {
    await database.exec(change);
    const before = [await database.rows('orders'), await database.rows('customers')];
    for (const dryRun of [true, false]) {
      const error = await merge(database.source, backup, 'merge', {dryRun}).catch((caught: unknown) => caught);
      expect(error).toMatchObject({code: 'PRECONDITION'});
      expect(String((error as Error).cause ?? '') + (error as Error).message).toMatch(message);
    }
    expect([await database.rows('orders'), await database.rows('customers')]).toEqual(before);
  };
  await refused('DELETE FROM orders WHERE id = 1; DELETE FROM customers WHERE id = 1', /foreign key/u);
  await refused("INSERT INTO customers VALUES (1, 'Ada'); ALTER TABLE orders ADD CHECK (id <> 1)", /check constraint/u);
  await refused('ALTER TABLE orders ALTER customer TYPE bigint', /do not fit into public\.orders/u);
});

test('identity columns beside the key get the values of the backup, in partitions too', async () => {
  const database = await made(`
    CREATE TABLE a (code text PRIMARY KEY, n int, i int GENERATED ALWAYS AS IDENTITY UNIQUE, "Be low" int DEFAULT 0);
    CREATE TABLE child (id int PRIMARY KEY, a text REFERENCES a ON DELETE CASCADE, i int REFERENCES a (i));
    CREATE TABLE p (code text PRIMARY KEY, n int, "I" bigint GENERATED ALWAYS AS IDENTITY) PARTITION BY LIST (code);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('x', 'y');
    CREATE TABLE only_i (i int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
    INSERT INTO a (code, n) VALUES ('x', 1), ('y', 2), ('z', 3); INSERT INTO child VALUES (1, 'x', 1), (2, 'y', NULL);
    INSERT INTO p (code, n) VALUES ('x', 1), ('y', 2); INSERT INTO only_i DEFAULT VALUES`);
  const tables = ['a', 'p', 'only_i'];
  const before = async () => {
    const found = [];
    for (const table of [...tables, 'child']) found.push(await database.rows(table));
    return found;
  };
  const identities = `(SELECT attrelid::regclass::text, attname, attidentity FROM pg_attribute
    WHERE attidentity <> '' AND NOT attisdropped)`;
  const [rows, kinds] = [await before(), await database.rows(identities)];
  const backup = await full(database, ...tables);
  const counted = (more: object) => [
    {name: 'public.a', inserted: 0, updated: 1, deleted: 0, kept: 0, ...more},
    {name: 'public.p', inserted: 0, updated: 1, deleted: 0, kept: 0},
    {name: 'public.only_i', inserted: 0, updated: 0, deleted: 0, kept: 0},
  ];
  const same = "UPDATE a SET n = 7 WHERE code = 'x'; UPDATE p SET n = 7 WHERE code = 'x'";
  const other = `UPDATE a SET i = DEFAULT WHERE code = 'y'; UPDATE p SET "I" = DEFAULT WHERE code = 'x';
    DELETE FROM a WHERE code = 'z'; INSERT INTO a (code) VALUES ('new')`;
  for (const [change, mode, more] of [
    [same, 'merge', {}],
    [other, 'replace', {inserted: 1, deleted: 1}],
  ] as const) {
    await database.exec(change);
    const changed = await before();
    expect(await merge(database.source, backup, mode, {dryRun: true})).toEqual(counted(more));
    expect(await before()).toEqual(changed);
    expect(await merge(database.source, backup, mode)).toEqual(counted(more));
    expect(await before()).toEqual(rows);
    expect(await database.rows(identities)).toEqual(kinds);
  }
});

test('a foreign key with CASCADE does not delete rows of a table that is not named', async () => {
  const database = await made(`CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY,
    p int REFERENCES p ON DELETE CASCADE); INSERT INTO p VALUES (1)`);
  const alone = await full(database, 'p');
  const both = await full(database, 'c', 'p');
  await database.exec('INSERT INTO p VALUES (2); INSERT INTO c VALUES (1, 2)');
  await expect(merge(database.source, alone, 'replace')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'the foreign key c_p_fkey would delete 1 row of public.c too',
  });
  expect(await database.rows('c')).toEqual(['(1,2)']);
  await merge(database.source, both, 'replace');
  expect(await database.rows('c')).toEqual([]);
  expect(await database.rows('p')).toEqual(['(1)']);
});

test('a partitioned table gets its rows back in the right partitions', async () => {
  const database =
    await made(`CREATE TABLE s (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE s1 PARTITION OF s FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
    CREATE TABLE s2 PARTITION OF s FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
    INSERT INTO s VALUES (1, '2026-02-01', 'a'), (2, '2026-08-01', 'b')`);
  const backup = await full(database, 's');
  await database.exec(
    "DELETE FROM s WHERE id = 2; UPDATE s SET v = 'x' WHERE id = 1; INSERT INTO s VALUES (3, '2026-03-01', '')",
  );
  expect(await merge(database.source, backup, 'replace')).toEqual([
    {name: 'public.s', inserted: 1, updated: 1, deleted: 1, kept: 0},
  ]);
  expect(await database.rows('s2')).toEqual(['(2,2026-08-01,b)']);
});

test.each(['merge', 'replace'] as const)(
  '%s leaves the rows of a child in the child, each value in its column',
  async (mode) => {
    const database = await made(`CREATE TABLE p (id int PRIMARY KEY, v text);
    CREATE TABLE child (own text, PRIMARY KEY (id)) INHERITS (p); ALTER TABLE p ADD late text;
    INSERT INTO p VALUES (1, 'p1', 'l1'), (2, 'p2', 'l2');
    INSERT INTO child (id, v, own, late) VALUES (2, 'c2', 'own2', 'late2'), (3, 'c3', 'own3', 'late3')`);
    const backup = await full(database, 'p', 'child');
    const rows = () => database.rows('(SELECT tableoid::regclass, * FROM p ORDER BY 1, 2)');
    const own = () => database.rows('child');
    const before = [await rows(), await own()];
    await database.exec(
      "UPDATE ONLY p SET v = 'x' WHERE id = 1; DELETE FROM child WHERE id = 3; DELETE FROM ONLY p WHERE id = 2",
    );
    expect(await merge(database.source, backup, mode)).toEqual([
      {name: 'public.p', inserted: 1, updated: 1, deleted: 0, kept: 0},
      {name: 'public.child', inserted: 1, updated: 0, deleted: 0, kept: 0},
    ]);
    expect([await rows(), await own()]).toEqual(before);
  },
);

test('a table whose key was changed is neither merged nor replaced', async () => {
  const database = await made(
    'CREATE TABLE t (id int PRIMARY KEY, other int UNIQUE); INSERT INTO t VALUES (1, 5), (2, 6)',
  );
  const backup = await full(database, 't');
  await database.exec(`ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (other);
    UPDATE t SET other = 7 WHERE id = 1`);
  for (const mode of ['merge', 'replace'] as const) {
    await expect(merge(database.source, backup, mode)).rejects.toMatchObject({
      code: 'PRECONDITION',
      details: ['its primary key is other, and was id in the backup'],
    });
  }
  expect(await database.rows('t')).toEqual(['(1,7)', '(2,6)']);
});

test('triggers and rules are in the states that they had', async () => {
  const database =
    await made(`${shop} CREATE TRIGGER always AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE orders ENABLE ALWAYS TRIGGER always, ENABLE ALWAYS RULE counted;
    CREATE TRIGGER never AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER replicated AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE orders DISABLE TRIGGER never, ENABLE REPLICA TRIGGER replicated`);
  const backup = await full(database, 'orders');
  const states = `(SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'orders'::regclass
    UNION ALL SELECT rulename, ev_enabled FROM pg_rewrite WHERE ev_class = 'orders'::regclass)`;
  const before = await database.rows(states);
  await database.exec('UPDATE orders SET total = 8');
  await merge(database.source, backup, 'merge');
  expect(await database.rows(states)).toEqual(before);
});

test('a row type whose columns have changed is not merged: its rows could come back with other values', async () => {
  const database = await made(`CREATE TYPE place AS (street text, city text);
    CREATE TABLE t (id int PRIMARY KEY, v place); INSERT INTO t VALUES (1, '(Main Street,Bern)');
    CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)`);
  const backup = await full(database, 't', 'other');
  const ofOther = await full(database, 'other');
  await database.exec(`ALTER TYPE place ADD ATTRIBUTE zip text, DROP ATTRIBUTE street;
    ALTER TYPE place RENAME ATTRIBUTE zip TO street; DELETE FROM t; DELETE FROM other`);
  for (const mode of ['merge', 'replace'] as const) {
    await expect(merge(database.source, backup, mode)).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('is (city text, street text), that of the backup is (street text, city text)'),
    });
  }
  expect(await database.rows('t')).toEqual([]);
  // Tables that do not use it come back.
  expect(await merge(database.source, ofOther, 'merge')).toMatchObject([{name: 'public.other', inserted: 1}]);
});
